"""Commands over the socket: who gives them, and from their outcome to a message."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, assert_never
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from chassis.http.problems import issues_of
from chassis.tenant_labels import tenant_label
from contracts.identity import Principal, Right
from contracts.message import Message
from contracts.runs.commands import Asked, command_id
from contracts.runs.decisions import ANONYMOUS, CommandHead
from contracts.runs.outcomes import Answer, Refused
from contracts.runs.views import RenderedView
from notifier import metrics
from notifier.errors import BrokerUnavailable
from notifier.hub.frames import MESSAGE_BYTES
from notifier.ports import Ask
from notifier.protocol.messages import Fault, MessageInvalid


class Speaker(NamedTuple):
    """Who says something, and when. `name` is what a message or the socket's address says, while authentication is off."""

    name: str | None
    principal: Principal | None
    at: datetime

    def head(self, run_id: UUID, about: tuple[object, ...], sha256: str) -> CommandHead:
        """Return the head of a command: the same message by the same person is the same command."""
        principal = self.principal
        actor = self.name or ANONYMOUS if principal is None else principal.subject
        *before, name = (actor,) if principal is None else principal.names
        return CommandHead(
            command_id=command_id("socket", *before, *about, name),
            run_id=run_id,
            at=self.at,
            actor=actor,
            tenant="default" if principal is None else principal.tenant,
            principal=principal,
            request_sha256=sha256,
        )


async def carry_out(command: Asked, right: Right, own: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Send a command and return its outcome as a message; `own` are the members that none of its details may replace.

    The orchestrator asks for the right again: this spares it what can never be allowed.
    """
    principal = command.principal
    result: dict[str, Any]
    if principal is not None and not principal.may(right):
        result = {"ok": False, "code": "forbidden", "message": principal.refusal(right)}
    else:
        try:
            result = _result_of(await ask(command))
        except BrokerUnavailable as error:
            result = {"ok": False, "code": error.code, "message": str(error)}
    metrics.DECISIONS.labels(result.get("code", "accepted"), tenant_label(command.tenant)).inc()
    return {**result, **own}


def _result_of(outcome: Answer | None) -> dict[str, Any]:
    match outcome:
        case None:
            return {"ok": False, "code": "pending", "message": "the answer is late; the decision may yet count"}
        case RenderedView(version=version, state=state):
            return {"ok": True, "version": version, "state": state}
        case Refused(code=code, message=message, details=details):
            # Who decided otherwise may have edited much: the view has it all.
            shown = details if len(to_json(details)) <= MESSAGE_BYTES else {"truncated": True}
            return {**shown, "ok": False, "code": code, "message": message}
        case _:
            assert_never(outcome)


def invalid_message(error: ValidationError, kind: type[Message]) -> MessageInvalid:
    """Return the refusal of a message of this kind that does not validate, with each fault at its place."""
    return MessageInvalid(*map(Fault.model_validate, issues_of(error, kind=kind)))
