"""One client's session: its messages are validated and answered. A message that is not valid never ends the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from pydantic_core import to_json

from contracts.identity import Principal
from contracts.json_text import JsonRefused, read_json
from contracts.message import Message
from contracts.runs.requests import ApprovalResponse
from identity.errors import IdentityError, IdentityUnavailable, Unauthenticated
from notifier.errors import ClientGone
from notifier.ports import Ask, Now
from notifier.protocol.approvals import decide, read_response, to_command
from notifier.protocol.caller import Caller
from notifier.protocol.messages import (
    FROM_CLIENT,
    TYPES_FROM_CLIENT,
    Auth,
    AuthOk,
    ErrorMessage,
    Fault,
    MessageInvalid,
    Ping,
    Pong,
)
from notifier.protocol.outcomes import Speaker, carry_out, invalid_message
from notifier.protocol.tasks import Said, read_comment, read_task

MAX_REQUESTS = 16
"""Unanswered requests of one session; no further message is read until one of them is answered."""

MAX_ID_LENGTH = 200

_Message = TypeVar("_Message", bound=Message)

_log = structlog.get_logger(__name__)


Answer = Callable[[Principal | None], Awaitable[dict[str, Any]]]
"""Answers a request of who the credential says that it is."""

Renew = Callable[[str], Awaitable[None]]
"""Takes another credential of the client. Raises identity.errors.IdentityError."""


class ClientSession:
    """The session of a client: `send` writes a text to it, or raises ClientGone.

    `renew` takes its next credential, and `refresh` looks again what its present one says.

    While authentication is off, the client calls itself `user_id`, and any credential is well.
    """

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        ask: Ask,
        user_id: str | None,
        now: Now,
        caller: Caller | None = None,
        renew: Renew | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._send = send
        self._ask = ask
        self._caller = caller or Caller()
        self._renew = renew
        self._refresh = refresh
        self._user_id = user_id
        self._now = now
        self._free = asyncio.Semaphore(MAX_REQUESTS)
        self._requests: set[asyncio.Task[None]] = set()

    async def receive(self, text: str | None) -> None:
        """Answer one message; None stands for one that is not text. Decisions and other requests are answered later, in any order."""
        members: dict[str, Any] = {}
        try:
            members = _object(text)
            await self._on_message(members, text or "")
        except MessageInvalid as error:
            request_id = members.get("request_id")
            await self._answer(
                ErrorMessage(
                    code=error.code,
                    message=str(error),
                    issues=error.faults,
                    request_id=request_id if isinstance(request_id, str) and len(request_id) <= MAX_ID_LENGTH else None,
                )
            )

    async def _on_message(self, members: dict[str, Any], text: str) -> None:
        kind = members.get("type")
        if not isinstance(kind, str):
            raise MessageInvalid(Fault(path="/type", code="missing", message="the type of the message, a string"))
        if kind not in TYPES_FROM_CLIENT:
            said = f"no message of type {kind[:100]!r}"
            raise MessageInvalid(Fault(path="/type", code="type_unknown", message=said))
        match kind:
            case "PING":
                _validate(Ping, text)
                await self._answer(Pong())
            case "AUTH":
                await self._authenticate(_validate(Auth, text))
            case "HITL_APPROVAL_RESPONSE":
                response = read_response(text)
                await self._begin(
                    response.actor, response.request_id, lambda principal: self._decide(response, principal)
                )
            case "HITL_TASK" | "HITL_COMMENT":
                request = read_task(members) if kind == "HITL_TASK" else read_comment(members)
                await self._begin(
                    request.actor, request.envelope.request_id, lambda principal: self._carry_out(request, principal)
                )

    async def _begin(self, actor: str | None, request_id: str, answer: Answer) -> None:
        """Answer a request later. It is not bound to the connection: what was received is sent on though the client is gone."""
        if self._caller.principal is not None and actor is not None:
            message = "who decides is who the credential says"
            raise MessageInvalid(Fault(path="/actor", code="extra_forbidden", message=message))
        await self._free.acquire()
        request = asyncio.create_task(self._answer_to(request_id, answer))
        self._requests.add(request)
        request.add_done_callback(self._on_answered)

    async def _authenticate(self, message: Auth) -> None:
        try:
            if self._renew is not None:
                await self._renew(message.token)
        except IdentityError as error:
            code = "unauthorized" if isinstance(error, Unauthenticated) else "unavailable"
            await self._answer(ErrorMessage(code=code, message=str(error)))
        else:
            await self._answer(AuthOk())

    async def _answer_to(self, request_id: str, answer: Answer) -> None:
        try:
            result = to_json(await answer(await self._current())).decode()
        except Unauthenticated as error:
            refused = ErrorMessage(code="unauthorized", message=str(error), request_id=request_id)
            result = refused.model_dump_json(exclude_none=True)
        with suppress(ClientGone):
            await self._send(result)

    async def _decide(self, response: ApprovalResponse, principal: Principal | None) -> dict[str, Any]:
        command = to_command(response, self._user_id, self._now(), principal)
        return await decide(response, command, self._ask)

    async def _carry_out(self, said: Said, principal: Principal | None) -> dict[str, Any]:
        command = said.command(Speaker(said.actor or self._user_id, principal, self._now()))
        return await carry_out(command, FROM_CLIENT[type(said.envelope)], said.own(command), self._ask)

    async def _current(self) -> Principal | None:
        """Return who speaks, as the credential says it now: for whom it stands in changes while a socket is open."""
        if self._refresh is not None:
            with suppress(IdentityUnavailable):  # what was known holds until the database answers
                await self._refresh()
        return self._caller.principal

    def _on_answered(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self._free.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a request failed", exc_info=error)

    async def _answer(self, message: Message) -> None:
        await self._send(message.model_dump_json(exclude_none=True))


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        raise MessageInvalid(Fault(path="", code="json_invalid", message="messages are text, not bytes"))
    try:
        members = read_json(text)
    except JsonRefused as error:
        raise MessageInvalid(Fault(path=error.path, code=error.code, message=error.message)) from None
    if not isinstance(members, dict):
        raise MessageInvalid(Fault(path="", code="json_invalid", message="not a JSON object"))
    return members


def _validate(message: type[_Message], text: str) -> _Message:
    try:
        return message.model_validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise invalid_message(error, message) from None
