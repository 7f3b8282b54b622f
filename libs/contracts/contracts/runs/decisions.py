"""From what a person says of a run to the command: one builder for every channel. Knows no HTTP and no sockets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, overload
from uuid import UUID

from contracts.identity import Principal
from contracts.runs.commands import (
    ApproveCheckpoint,
    CancelRun,
    Control,
    Decide,
    EditCheckpoint,
    PauseRun,
    RejectCheckpoint,
    ResumeRun,
    RetryRun,
)
from contracts.runs.requests import ApprovalResponse, ApproveBody, ControlBody, EditBody, RejectBody, RetryBody

ANONYMOUS = "anonymous"
"""The actor where neither the body nor the connection names one."""

Decision = Literal["approve", "edit", "reject"]
Action = Literal[Decision, "pause", "resume", "cancel", "retry"]
Body = ApproveBody | EditBody | RejectBody | ControlBody

BODIES: Mapping[Action, type[Body]] = {
    "approve": ApproveBody,
    "edit": EditBody,
    "reject": RejectBody,
    "pause": ControlBody,
    "resume": ControlBody,
    "cancel": ControlBody,
    "retry": RetryBody,
}
"""Everything that a person can ask of a run, with the body that says it."""

_CONTROLS: Mapping[Action, type[Control]] = {
    "pause": PauseRun,
    "resume": ResumeRun,
    "cancel": CancelRun,
    "retry": RetryRun,
}


class CommandHead(NamedTuple):
    """What a command says beside its body. `actor` is the person, as the channel knows it."""

    command_id: UUID
    run_id: UUID
    at: datetime
    actor: str
    tenant: str = "default"
    request_sha256: str | None = None
    expected_version: int | None = None
    principal: Principal | None = None


@overload
def command_of(action: Decision, body: Body, head: CommandHead) -> Decide: ...


@overload
def command_of(action: Action, body: Body, head: CommandHead) -> Decide | Control: ...


def command_of(action: Action, body: Body, head: CommandHead) -> Decide | Control:
    """Return the command for `action`. Members are named one by one: a new member of a body reaches no command by accident.

    `ApprovalResponse` serves as the body of each of its three actions. Raises ValueError for a body of another action.
    """
    match action, body:
        case "approve", ApproveBody() | ApprovalResponse():
            return ApproveCheckpoint(**head._asdict(), **_seen(body))
        case "edit", EditBody():
            return EditCheckpoint(**head._asdict(), **_seen(body), edits=body.edits)
        case "reject", RejectBody() | ApprovalResponse():
            return RejectCheckpoint(**head._asdict(), **_seen(body), reason=body.reason, reason_code=body.reason_code)
        case "retry", RetryBody(reason=reason, checkpoint_id=checkpoint_id, subject_sha256=subject_sha256):
            seen = {"checkpoint_id": checkpoint_id, "subject_sha256": subject_sha256}
            return RetryRun(**head._asdict(), **seen, reason=reason)
        case (("pause" | "resume" | "cancel" | "retry"), ControlBody()):
            return _CONTROLS[action](**head._asdict(), reason=body.reason)
        case _:
            raise ValueError(f"{type(body).__name__} is no body of {action}")


def _seen(body: ApproveBody | EditBody | RejectBody) -> dict[str, Any]:
    """Return what every decision may say; `subject_sha256` binds it to the bytes that were seen."""
    return {
        "checkpoint_id": body.checkpoint_id,
        "subject_sha256": body.subject_sha256,
        "comment": body.comment,
        "message": body.message,
    }
