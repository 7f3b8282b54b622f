"""What a client says over its socket, and what it is answered. A message that is not understood never ends the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.websockets import WebSocketDisconnect

from contracts.message import Message
from contracts.runs.requests import ApprovalResponse
from notifier.protocol.approvals import Ask, Misunderstood, decide, faults_of, read_response, to_command
from notifier.protocol.messages import Auth, AuthOk, ErrorMessage, Fault, Ping, Pong

MOST_AT_ONCE = 16
"""Decisions of one connection under way; beyond them nothing more is read until one is answered."""

LONGEST_ID = 200

_log = structlog.get_logger(__name__)


class Conversation:
    """One client's side of the talk. `send` writes a text to it; `user_id` is who it says it is."""

    def __init__(self, send: Callable[[str], Awaitable[None]], ask: Ask, user_id: str | None) -> None:
        self._send = send
        self._ask = ask
        self._user_id = user_id
        self._free = asyncio.Semaphore(MOST_AT_ONCE)
        self._deciding: set[asyncio.Task[None]] = set()

    async def hear(self, text: str | None) -> None:
        """Answer one message; None stands for one that is not text. Decisions are answered later, in any order."""
        said: dict[str, Any] = {}
        try:
            said = _object(text)
            await self._on_message(said, text or "")
        except Misunderstood as error:
            request_id = said.get("request_id")
            await self._answer(
                ErrorMessage(
                    code="validation_failed",
                    message=str(error),
                    issues=error.faults,
                    request_id=request_id if isinstance(request_id, str) and len(request_id) <= LONGEST_ID else None,
                )
            )

    async def _on_message(self, said: dict[str, Any], text: str) -> None:
        match said.get("type"):
            case "PING":
                _strictly(Ping, text)
                await self._answer(Pong())
            case "AUTH":
                _strictly(Auth, text)
                await self._answer(AuthOk())
            case "HITL_APPROVAL_RESPONSE":
                response = read_response(text)
                await self._free.acquire()
                deciding = asyncio.create_task(self._decide(response))
                self._deciding.add(deciding)
                deciding.add_done_callback(self._decided)
            case str(other):
                raise Misunderstood(
                    Fault(path="/type", code="type_unknown", message=f"no message of type {other[:100]!r}")
                )
            case _:
                raise Misunderstood(Fault(path="/type", code="missing", message="the type of the message, a string"))

    async def _decide(self, response: ApprovalResponse) -> None:
        # Not bound to the connection: a decision that was heard is handed over though the client is gone.
        command = to_command(response, self._user_id, datetime.now(UTC))
        result = await decide(response, command, self._ask)
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._send(to_json(result).decode())

    def _decided(self, task: asyncio.Task[None]) -> None:
        self._deciding.discard(task)
        self._free.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a decision failed", exc_info=error)

    async def _answer(self, message: Message) -> None:
        await self._send(message.model_dump_json(exclude_none=True))


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        raise Misunderstood(Fault(path="", code="json_invalid", message="messages are text, not bytes"))
    try:
        said = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Misunderstood(Fault(path="", code="json_invalid", message=str(error))) from None
    if not isinstance(said, dict):
        raise Misunderstood(Fault(path="", code="json_invalid", message="not a JSON object"))
    return said


def _strictly(message: type[Message], text: str) -> None:
    try:
        message.model_validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise Misunderstood(*faults_of(error)) from None
