"""Decisions over the socket: from a message to a command, and from its outcome to a message. The orchestrator decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

from pydantic import ValidationError
from pydantic_core import to_json

from chassis.http.problems import issues_of
from chassis.tenant_labels import tenant_label
from contracts.identity import Principal
from contracts.json_values import digest
from contracts.runs.commands import Decide, command_id
from contracts.runs.decisions import ANONYMOUS, CommandHead, command_of
from contracts.runs.outcomes import Answer, Refused
from contracts.runs.requests import ApprovalResponse
from contracts.runs.views import RenderedView
from notifier import metrics
from notifier.errors import BrokerUnavailable
from notifier.hub.frames import MESSAGE_BYTES
from notifier.ports import Ask
from notifier.protocol.messages import FROM_CLIENT, Fault, MessageInvalid

_DEFAULTS: dict[str, Any] = {"edits": {}, "reason": None, "reason_code": None}
_OWN = {"approve": frozenset[str](), "edit": frozenset({"edits"}), "reject": frozenset({"reason", "reason_code"})}


def read_response(text: str) -> ApprovalResponse:
    """Read `HITL_APPROVAL_RESPONSE`, strictly. Raises MessageInvalid with every fault."""
    try:
        response = ApprovalResponse.model_validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise invalid_message(error) from None
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
        raise MessageInvalid(Fault(path="/edits", code="missing", message="Field required"))
    return response


def to_command(
    response: ApprovalResponse, user_id: str | None, at: datetime, principal: Principal | None = None
) -> Decide:
    """Return the command that a response stands for: the same response by the same person is the same command.

    Without a principal, while authentication is off, the response or the socket's address says who the person is.
    """
    actor = response.actor or user_id or ANONYMOUS if principal is None else principal.subject
    of_tenant = () if principal is None else (principal.tenant,)
    names = response.run_id, response.checkpoint_id or "", response.request_id, actor
    head = CommandHead(
        command_id=command_id("socket", *of_tenant, *names),
        run_id=response.run_id,
        at=at,
        actor=actor,
        tenant="default" if principal is None else principal.tenant,
        principal=principal,
        request_sha256=digest(response.model_dump(mode="json", exclude_unset=True)),
    )
    return command_of(response.action, response, head)


async def decide(response: ApprovalResponse, command: Decide, ask: Ask) -> dict[str, Any]:
    """Send a decision and return its outcome, as an `ApprovalResult`.

    The orchestrator asks for the right again: this spares it what can never be allowed.
    """
    principal, right = command.principal, FROM_CLIENT[ApprovalResponse]
    result: dict[str, Any]
    if principal is not None and not principal.may(right):
        result = {"ok": False, "code": "forbidden", "message": principal.refusal(right)}
    else:
        try:
            result = _result_of(await ask(command))
        except BrokerUnavailable as error:
            result = {"ok": False, "code": error.code, "message": str(error)}
    metrics.DECISIONS.labels(result.get("code", "accepted"), tenant_label(command.tenant)).inc()
    # The details of a refusal are members too: none of them may replace these.
    own = {"type": "HITL_APPROVAL_RESULT", "request_id": response.request_id, "run_id": response.run_id}
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


def invalid_message(error: ValidationError) -> MessageInvalid:
    """Return the refusal of a message that does not validate, with each fault at its place."""
    return MessageInvalid(*map(Fault.model_validate, issues_of(error)))
