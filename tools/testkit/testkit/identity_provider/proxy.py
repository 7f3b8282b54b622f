"""A proxy before the provider. It verifies PKCE, which the package does not, and changes answers as a test asks.

The provider takes the host that it is asked by for its issuer: the proxy's address is the issuer.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_stack.ports import LOOPBACK
from testkit.loopback_server import served

DISCOVERY, KEYS, TOKEN, AUTHORIZE = "/.well-known/openid-configuration", "/jwks", "/oauth2/token", "/oauth2/authorize"

Change = Callable[[dict[str, Any]], Any]
"""Returns another answer in place of the provider's: a document, or a whole response."""


class ProviderProxy:
    """The provider as the gateway and a browser see it. `changes` are by path; `asked` counts what came, by path."""

    def __init__(self, provider: str) -> None:
        self.issuer = ""
        self.changes: dict[str, Change] = {}
        self.asked: dict[str, int] = {}
        self._http = httpx.AsyncClient(base_url=provider)
        self._challenges: dict[str, str] = {}
        self._replayed: dict[str, Any] = {}
        self.app = Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST", "PUT"])])

    @property
    def settings(self) -> dict[str, str]:
        """The settings of services where people of this provider sign in."""
        return {
            "SAYSO_AUTH": "on",
            "SAYSO_OIDC_ISSUER": self.issuer,
            "SAYSO_OIDC_CLIENT_ID": "sayso",
            "SAYSO_OIDC_CLIENT_SECRET": "s3cret",
        }

    async def know(self, subject: str, **claims: Any) -> None:
        """Let the provider know a person with these claims."""
        (await self._http.put(f"/users/{subject}", json=claims)).raise_for_status()

    def replay(self, path: str, answer: Any) -> None:
        """Give the same answer on a path from now on, and do not ask the provider."""
        self._replayed[path] = answer

    def forget(self) -> None:
        """Forget changes, counts and codes; people stay known."""
        for told in (self.changes, self.asked, self._challenges, self._replayed):
            told.clear()

    async def close(self) -> None:
        """Disconnect."""
        await self._http.aclose()

    async def _serve(self, request: Request) -> Response:
        path, body = request.url.path, await request.body()
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self._replayed:
            return JSONResponse(self._replayed[path])
        if path == TOKEN and not self._is_proven(body.decode()):
            return JSONResponse({"error": "invalid_grant"}, 400)
        kept = ("authorization", "content-type", "accept")
        headers = {name: value for name, value in request.headers.items() if name in kept}
        answer = await self._http.request(
            request.method,
            f"{path}?{request.url.query}",
            content=body,
            headers={**headers, "Host": urlsplit(self.issuer).netloc},
        )
        self._remember(request, answer)
        if path in self.changes and answer.is_success:
            changed = self.changes[path](answer.json())
            return changed if isinstance(changed, Response) else JSONResponse(changed)
        shown = {name: value for name, value in answer.headers.items() if name in ("location", "content-type")}
        return Response(answer.content, answer.status_code, shown)

    def _remember(self, request: Request, answer: httpx.Response) -> None:
        challenge = request.query_params.get("code_challenge")
        for code in parse_qs(urlsplit(answer.headers.get("location", "")).query).get("code", []):
            if request.query_params.get("code_challenge_method") == "S256" and challenge:
                self._challenges[code] = challenge

    def _is_proven(self, form: str) -> bool:
        said = {name: values[0] for name, values in parse_qs(form).items()}
        digest = hashlib.sha256(said.get("code_verifier", "").encode()).digest()
        # Taken once: a code's second use is refused.
        return (
            self._challenges.pop(said.get("code", ""), None) == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        )


@contextlib.asynccontextmanager
async def proxied(provider: str) -> AsyncIterator[ProviderProxy]:
    """Serve a proxy before the provider at this address, on a free port of loopback."""
    proxy = ProviderProxy(provider)
    async with served(proxy.app) as port:
        proxy.issuer = f"http://{LOOPBACK}:{port}"
        try:
            yield proxy
        finally:
            await proxy.close()


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token; its signature is not verified."""
    segment = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return claims
