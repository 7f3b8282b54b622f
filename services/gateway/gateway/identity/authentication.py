"""The layer that resolves who asks, before every route. A request without a credential that holds gets no further."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http.problems import problem_response
from gateway.http.caller import CALLER, TRUSTED, Caller
from gateway.identity.route_rights import is_public
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.resolver import Resolver

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sayso"'}


class Authentication:
    """Puts the caller into the scope of each request. Without a `resolver` each caller is trusted."""

    def __init__(self, app: ASGIApp, resolver: Resolver | None) -> None:
        self._app = app
        self._resolver = resolver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            if self._resolver is None or is_public(scope["path"]):
                scope[CALLER] = TRUSTED
            elif isinstance(found := await self._resolve(self._resolver, scope), Response):
                await found(scope, receive, send)
                return
            else:
                scope[CALLER] = found
        await self._app(scope, receive, send)

    async def _resolve(self, resolver: Resolver, scope: Scope) -> Caller | Response:
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if len(given) > 1:
            return _unauthorized("a request has one Authorization field", "credential_malformed", scope)
        try:
            principal = (await resolver.resolve(given[0] if given else None)).principal
        except Unauthenticated as error:
            return _unauthorized(str(error), error.code, scope)
        except IdentityUnavailable:
            return problem_response(
                "unavailable", "the database does not answer: it is not known who asks", scope["path"]
            )
        return Caller(principal.tenant, principal)


def _unauthorized(detail: str, reason: str, scope: Scope) -> Response:
    return problem_response("unauthorized", detail, scope["path"], {"reason": reason}, _CHALLENGE)
