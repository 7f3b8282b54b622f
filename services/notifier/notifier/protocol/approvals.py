"""Decisions over the socket: from a message to a command. The orchestrator decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from contracts.identity import Principal
from contracts.json_values import digest
from contracts.runs.commands import Decide
from contracts.runs.decisions import command_of
from contracts.runs.requests import ApprovalResponse
from notifier.ports import Ask
from notifier.protocol.messages import FROM_CLIENT, Fault, MessageInvalid
from notifier.protocol.outcomes import Speaker, carry_out, invalid_message

_DEFAULTS: dict[str, Any] = {"edits": {}, "reason": None, "reason_code": None}
_OWN = {"approve": frozenset[str](), "edit": frozenset({"edits"}), "reject": frozenset({"reason", "reason_code"})}


def read_response(text: str) -> ApprovalResponse:
    """Read `HITL_APPROVAL_RESPONSE`, strictly. Raises MessageInvalid with every fault."""
    try:
        response = ApprovalResponse.model_validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise invalid_message(error, ApprovalResponse) from None
    # A reviewer whose edits were ignored would believe them made.
    own = _OWN[response.action]
    strange = [name for name, default in _DEFAULTS.items() if getattr(response, name) != default and name not in own]
    if strange:
        raise MessageInvalid(
            *(
                Fault(path=f"/{name}", code="not_for_action", message=f"is not for {response.action}")
                for name in strange
            )
        )
    if response.action == "edit" and "edits" not in response.model_fields_set:
        raise MessageInvalid(Fault(path="/edits", code="missing", message="is missing"))
    return response


def to_command(
    response: ApprovalResponse, user_id: str | None, at: datetime, principal: Principal | None = None
) -> Decide:
    """Return the command that a response stands for: the same response by the same person is the same command.

    Without a principal, while authentication is off, the response or the socket's address says who the person is.
    """
    speaker = Speaker(response.actor or user_id, principal, at)
    about = response.run_id, response.checkpoint_id or "", response.request_id
    sha256 = digest(response.model_dump(mode="json", exclude_unset=True))
    return command_of(response.action, response, speaker.head(response.run_id, about, sha256))


async def decide(response: ApprovalResponse, command: Decide, ask: Ask) -> dict[str, Any]:
    """Send a decision and return its outcome, as an `ApprovalResult`."""
    own = {"type": "HITL_APPROVAL_RESULT", "request_id": response.request_id, "run_id": response.run_id}
    return await carry_out(command, FROM_CLIENT[ApprovalResponse], own, ask)
