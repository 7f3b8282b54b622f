"""The gateway's read model over its REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
from pydantic_core import to_json

from identity.errors import IdentityUnavailable
from identity.tokens.internal import InternalTokens
from notifier.errors import GatewayUnavailable
from notifier.ports import MAX_BYTES, MAX_RUNS, Snapshot

TIMEOUT_SECONDS = 5.0
MAX_CONNECTIONS = 20

KEPT_SECONDS = 3.0
"""How long an idle connection is kept: less than the gateway keeps it, so that no request meets its end."""

_NOT_SHOWN = (httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN)
"""There is no such run, or none that the client may see."""

_LOST = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""The connection ended before the answer: the server, or a proxy between, closed it in the same moment."""


class HttpGateway:
    """The gateway at `url`, asked under `internal` tokens where no client asks; `transport` stands in for the network."""

    def __init__(
        self, url: str, transport: httpx.AsyncBaseTransport | None = None, internal: InternalTokens | None = None
    ) -> None:
        self._internal = internal
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEPT_SECONDS)
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False, transport=transport
        )

    async def snapshot(
        self, *, run_id: str | None, session_id: str | None, user_id: str | None, credential: str | None = None
    ) -> Snapshot:
        """Return the open runs that match every filter given, of those that may be seen with a credential.

        A run that is named by `run_id` is shown though it is over.
        """
        if run_id is not None:
            view = await self._get(f"/hitl/runs/{run_id}", credential)
            matches = view and session_id in (None, view["session_id"]) and user_id in (None, view["user_id"])
            return Snapshot.of([view] if matches else [])
        wanted = {"open": "true", "session_id": session_id, "user_id": user_id, "limit": str(MAX_RUNS)}
        query = {name: value for name, value in wanted.items() if value is not None}
        views: list[dict[str, Any]] = []
        size = 0
        while True:
            page = await self._page("/hitl/runs", query, credential)
            if page is None:
                return Snapshot.of(views)
            views += page.items
            size += page.size
            if page.next is None or len(views) >= MAX_RUNS or size >= MAX_BYTES:
                return Snapshot.of(views, truncated=page.next is not None)
            query["cursor"] = page.next

    async def history(self, tenant: str, run_id: str) -> list[bytes] | None:
        """Return every event of a run, as values of `run.events`; None when there is no such run."""
        credential = await self._own_credential(tenant)
        events: list[bytes] = []
        after = "0"
        while True:
            page = await self._page(f"/hitl/runs/{run_id}/history", {"after": after}, credential)
            if page is None:
                return None
            events += map(to_json, page.items)
            if page.next is None:
                return events
            after = page.next

    async def check(self) -> None:
        """Return if the gateway reads runs. Raises GatewayUnavailable with its reason."""
        await self._page("/hitl/runs", {"limit": "1"}, await self._own_credential("default"))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _own_credential(self, tenant: str) -> str | None:
        if self._internal is None:
            return None
        try:
            return await self._internal.issue("notifier", tenant)
        except IdentityUnavailable as error:
            raise GatewayUnavailable(str(error)) from error

    async def _page(self, path: str, query: Mapping[str, str], credential: str | None) -> _Page | None:
        response = await self._response(path, credential, query)
        if response.status_code in _NOT_SHOWN:
            return None
        body = _json(path, response)
        try:
            following = body.get("next_cursor", body.get("next_after"))
            return _Page(body["items"], None if following is None else str(following), len(response.content))
        except (KeyError, TypeError, AttributeError) as error:
            raise GatewayUnavailable(f"{path}: not a page") from error

    async def _get(self, path: str, credential: str | None) -> Any:
        response = await self._response(path, credential)
        return None if response.status_code in _NOT_SHOWN else _json(path, response)

    async def _response(
        self, path: str, credential: str | None, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        # Fresh: the notifier may know of an absence that this gateway would learn of in the next seconds.
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}", "Cache-Control": "no-cache"}
        try:
            try:
                response = await self._http.get(path, params=query, headers=headers)
            except _LOST:
                response = await self._http.get(path, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise GatewayUnavailable(f"{path}: {error or type(error).__name__}") from error
        if not response.is_success and response.status_code not in _NOT_SHOWN:
            raise GatewayUnavailable(f"{path}: answered {response.status_code}{_detail(response)}")
        return response


def _json(path: str, response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise GatewayUnavailable(f"{path}: not JSON") from error


def _detail(response: httpx.Response) -> str:
    try:
        return f": {str(response.json()['detail'])[:200]}"
    except (ValueError, KeyError, TypeError):
        return ""


class _Page(NamedTuple):
    items: list[dict[str, Any]]
    next: str | None
    size: int
