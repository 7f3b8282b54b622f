"""Who opens a socket: resolved at the handshake or by the first message, and asked again until the socket closes.

A socket may stay open for days. A key or a session that ends takes its sockets with it within seconds; an `AUTH` message with another
credential of the same person keeps one open.

Browsers send a session's cookie with every socket, whichever page opens it. The access guard refuses foreign pages; a socket that a cookie
opens has to name its page.
"""

from __future__ import annotations

import asyncio

from pydantic import ValidationError
from starlette.websockets import WebSocket

from chassis.http.problems import problem_response
from contracts.identity import Right
from contracts.json_text import JsonRefused, read_json
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.resolver import Resolver
from identity.sessions.cookies import session_of
from identity.watch import CredentialWatch
from notifier import metrics
from notifier.errors import Unadmitted
from notifier.protocol.caller import Caller
from notifier.protocol.messages import Auth, AuthOk

AUTH_SECONDS = 10.0
"""How long a client may take to say who it is, after the handshake."""

MOST_REASON_BYTES = 120
"""Of the reason of a close (RFC 6455, section 5.5): its frame is short."""

UNAUTHORIZED = 4401
"""The close code of a socket whose credential is missing, does not hold, or holds no longer."""


class SocketAuthentication:
    """Admits clients. Without a `resolver` each client is trusted. `credentials` ends their sockets when theirs end."""

    def __init__(self, resolver: Resolver | None) -> None:
        self._resolver = resolver
        self.credentials = CredentialWatch(resolver)

    async def admit(self, websocket: WebSocket) -> Caller:
        """Accept a socket and return who opened it. Raises Unadmitted where it was refused, or closed."""
        if self._resolver is None:
            await websocket.accept()
            return Caller()
        given = websocket.headers.getlist("authorization")
        session = None if given else session_of(websocket.headers.raw, secure=websocket.url.scheme == "wss")
        if not given and session is None:
            await websocket.accept()
            return await self._first_message(websocket, self._resolver)
        if session is not None and "origin" not in websocket.headers:
            await _deny(websocket, "forbidden", "a socket that a cookie opens names its page, in the field Origin")
            raise Unadmitted
        try:
            caller = await _caller(self._resolver, given, session)
        except Unauthenticated as error:
            await _deny(websocket, "unauthorized", str(error), reason=error.code)
        except IdentityUnavailable:
            await _deny(websocket, "unavailable", "the database does not answer: it is not known who asks")
        else:
            if (refusal := _lack_of_rights(caller)) is None:
                await websocket.accept()
                return caller
            await _deny(websocket, "forbidden", refusal)
        raise Unadmitted

    async def renew(self, caller: Caller, token: str) -> None:
        """Take another credential of the same person in place of a socket's. Raises Unauthenticated, IdentityUnavailable."""
        if self._resolver is None:
            return
        resolved = await self._resolver.resolve_credential(token)
        if caller.resolved is None or not caller.is_same_as(resolved):
            raise Unauthenticated("credential_malformed", "a socket stays its opener's: open another one")
        caller.resolved, caller.credential = resolved, token

    async def refresh(self, caller: Caller) -> None:
        """Look again what a socket's credential says. Raises Unauthenticated, IdentityUnavailable."""
        asked = caller.credential
        if self._resolver is None or asked is None:
            return
        resolved = await self._resolver.resolve_credential(asked)
        if caller.credential == asked:  # and not replaced meanwhile
            caller.resolved = resolved

    async def _first_message(self, websocket: WebSocket, resolver: Resolver) -> Caller:
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                message = await websocket.receive()
        except TimeoutError:
            return await _close(websocket, "credential_missing", f"no AUTH message came within {AUTH_SECONDS:g} s")
        if message["type"] == "websocket.disconnect":
            raise Unadmitted
        try:
            token = _token(message.get("text"))
            caller = Caller(await resolver.resolve_credential(token), token)
        except Unauthenticated as error:
            return await _close(websocket, error.code, str(error))
        except IdentityUnavailable:
            return await _close(websocket, "unavailable", "the database does not answer: try again later", 1013)
        if (refusal := _lack_of_rights(caller)) is not None:
            return await _close(websocket, "forbidden", refusal)
        await websocket.send_text(AuthOk().model_dump_json())
        return caller


async def _caller(resolver: Resolver, given: list[str], session: str | None) -> Caller:
    if session is not None:
        return Caller(await resolver.resolve_session(session), session)
    return Caller(await resolver.resolve(_only(given)), given[0].split()[-1])


def _only(given: list[str]) -> str:
    if len(given) > 1:
        raise Unauthenticated("credential_malformed", "a request has one Authorization field")
    return given[0]


def _token(text: str | None) -> str:
    try:
        read_json(text or "")
        return Auth.model_validate_json(text or "", strict=True, extra="forbid").token
    except (JsonRefused, ValidationError):
        raise Unauthenticated("credential_missing", "the first message is AUTH with a token") from None


def _lack_of_rights(caller: Caller) -> str | None:
    principal = caller.principal
    if principal is None or principal.may(Right.READ):
        return None
    return principal.refusal(Right.READ)


async def _deny(websocket: WebSocket, code: str, detail: str, **members: str) -> None:
    metrics.REFUSED.labels(members.get("reason", code)).inc()
    challenge = {"WWW-Authenticate": 'Bearer realm="sayso"'} if code == "unauthorized" else None
    await websocket.send_denial_response(problem_response(code, detail, websocket.url.path, members, challenge))


async def _close(websocket: WebSocket, why: str, reason: str, code: int = UNAUTHORIZED) -> Caller:
    metrics.REFUSED.labels(why).inc()
    await websocket.close(code, reason.encode()[:MOST_REASON_BYTES].decode(errors="ignore"))
    raise Unadmitted
