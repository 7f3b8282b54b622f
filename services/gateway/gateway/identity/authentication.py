"""The layer that resolves who asks, before every route. A request without a credential that holds gets no further."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http.problems import problem_response
from gateway.errors import GatewayError
from gateway.http.caller import CALLER, TRUSTED, Caller
from gateway.http.problems import Problem, document
from gateway.identity import csrf
from gateway.identity.browser import READS, session_text, to_sign_in, wants_page
from gateway.identity.role_page import role_page
from gateway.identity.route_rights import is_public, needs_role
from gateway.metrics import REFUSED
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.resolver import Resolver
from identity.sessions.record import csrf_token

_PARAMETERS = frozenset({"access_token", "api-key", "api_key", "apikey", "authorization", "token"})
_FRESH = (b"cache-control", b"no-cache")
"""Asks for what is so now, and not for what a cache says (RFC 9111, section 5.2.1.4)."""

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sayso"'}


class Authentication:
    """Puts the caller into the scope of each request. Without a `resolver` each caller is trusted.

    Of a request with a field Authorization and a cookie the field alone counts.
    """

    def __init__(self, app: ASGIApp, resolver: Resolver | None) -> None:
        self._app = app
        self._resolver = resolver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            if self._resolver is None or is_public(scope["path"]):
                scope[CALLER] = TRUSTED
            else:
                try:
                    receive = await _admit(self._resolver, scope, receive)
                except _Refusal as refusal:
                    await refusal.answer(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class _Refusal(GatewayError):
    """A request gets this answer, and goes no further."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer


async def _admit(resolver: Resolver, scope: Scope, receive: Receive) -> Receive:
    """Put the caller into the scope, and return where the body is read from. Raises _Refusal."""
    if scope["query_string"] and _brings_credential(scope["query_string"]):
        refused = Unauthenticated("credential_in_address")
        raise _Refusal(_unauthorized(str(refused), refused.code, scope))
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    session = None if given else session_text(scope)
    if len(given) > 1:
        raise _Refusal(_unauthorized("a request has one Authorization field", "credential_malformed", scope))
    try:
        resolved = await (
            resolver.resolve_session(session) if session is not None else resolver.resolve(given[0] if given else None)
        )
        if _FRESH in scope["headers"]:
            resolved = await resolver.refreshed(resolved)
    except Unauthenticated as error:
        is_shown = not given and wants_page(scope)
        raise _Refusal(to_sign_in(scope) if is_shown else _unauthorized(str(error), error.code, scope)) from None
    except IdentityUnavailable:
        detail = "the database does not answer: it is not known who asks"
        raise _Refusal(problem_response("unavailable", detail, scope["path"])) from None
    principal = resolved.principal
    token = None if session is None else csrf_token(session)
    scope[CALLER] = Caller(principal.tenant, resolved, token)
    if token is not None and scope["method"] not in READS:
        try:
            receive = await csrf.checked(scope, receive, token)
        except Problem as problem:
            raise _Refusal(document(problem, scope["path"])) from None
    if not principal.roles and needs_role(scope["method"], scope["path"]) and wants_page(scope):
        raise _Refusal(role_page(principal, token))
    return receive


def _brings_credential(query: bytes) -> bool:
    """Say whether a query has a credential, as some services take it. It is refused beside a good one too: it has been seen."""
    return any(name.lower() in _PARAMETERS for name, _ in parse_qsl(query.decode("latin-1")))


def _unauthorized(detail: str, reason: str, scope: Scope) -> Response:
    REFUSED.labels(reason).inc()
    return problem_response("unauthorized", detail, scope["path"], {"reason": reason}, _CHALLENGE)
