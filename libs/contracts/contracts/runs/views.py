"""The run as outsiders see it, and the one fold that makes it of events.

The orchestrator answers commands with it and the gateway keeps it in the read model: the same function, so the same view.
"""

from __future__ import annotations

from datetime import datetime
from operator import not_
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import Field

from contracts.json_values import ComposedObject, JsonObject
from contracts.message import Message, Timestamp
from contracts.providers.call import Cost, Issue
from contracts.providers.signals import Reason
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.event_header import EFFECTS, TERMINAL, UNKNOWN, Action, Awaited, Effect, State, state_at
from contracts.runs.run_event import RunEvent

__all__ = ["TERMINAL", "Approval", "Checkpoint", "RenderedView", "RunView", "State", "approval_of", "project", "render"]


class Checkpoint(Message):
    """A checkpoint that waits for a person. `subject_sha256` is the SHA-256 of the subject's canonical JSON (RFC 8785)."""

    checkpoint_id: UUID
    step: Step
    reasons: tuple[Reason, ...]
    subject: ComposedObject
    subject_sha256: str
    subject_schema: ComposedObject
    issues: tuple[Issue, ...]
    opened_at: Timestamp
    expires_at: Timestamp
    assignee: str | None = None
    approvals_required: int = 1
    approvals: tuple[JsonObject, ...] = ()
    escalations: int = 0


class Approval(Message):
    """A decision on a checkpoint: its actor, action, time and reason, and the digest of the bytes that were decided on."""

    checkpoint_id: UUID
    step: Step
    action: Action
    actor: str
    at: Timestamp
    subject_sha256: str
    comment: str | None = None
    message: str | None = None
    reason: str | None = None
    reason_code: str | None = None
    diff: tuple[e.Change, ...] = ()


class Wait(Message):
    """What a run waits for, since when, and until when at most: when a retry is made, or the time to decide ends."""

    what: Awaited
    since: Timestamp
    until: Timestamp | None = None


class RunView(Message):
    """The public state of a run at one version."""

    run_id: UUID
    state: State
    paused: bool = False
    version: int
    provider: str
    model: str | None
    operation: str | None
    user_id: str | None
    session_id: str | None
    requested_by: str | None = Field(
        None, exclude_if=not_, description="The person who started it, as the credential said."
    )
    created_at: Timestamp
    updated_at: Timestamp
    checkpoint: Checkpoint | None = None
    pending_actions: tuple[str, ...] = ()
    checkpoint_context: ComposedObject = Field(default_factory=dict)
    last_approval: Approval | None = None
    result: ComposedObject | None = None
    error: e.RunError | None = None
    cost: Cost = Cost()
    waits_for: Wait | None = None
    callback_url: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens without a person."""
        return self.state in TERMINAL

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens at all, but to a call that is stopped."""
        return self.is_over and not self.pending_actions


class RenderedView(NamedTuple):
    """A run's view as JSON, with the facts that answers need apart, so that it is handed on without being read."""

    version: int
    state: str
    json: bytes
    updated_at: datetime
    is_final: bool


def render(view: RunView) -> RenderedView:
    """Write a view as JSON."""
    return RenderedView(view.version, view.state.value, view.model_dump_json().encode(), view.updated_at, view.is_final)


def project(view: RunView | None, record: RunEvent) -> RunView:
    """Return the view after `record`. Never refuses: what is recorded has happened."""
    if view is None:
        view = _begin(record)
    effect = EFFECTS.get(record.kind, UNKNOWN)
    changes = _changes(view, record.data, record)
    changes["version"], changes["updated_at"] = record.version, record.at
    changes["waits_for"] = _waits_for(view.waits_for, effect, record)
    if effect.state is not None:
        changes["state"] = effect.state
    if effect.paused is not None:
        changes["paused"] = effect.paused
    if effect.closes:
        changes["checkpoint"], changes["checkpoint_context"] = None, {}
    changes["pending_actions"] = _pending(
        changes.get("state", view.state),
        changes.get("checkpoint", view.checkpoint),
        changes.get("error", view.error),
        paused=changes.get("paused", view.paused),
    )
    return view.changed(changes)


def _begin(record: RunEvent) -> RunView:
    return RunView(
        run_id=record.run_id,
        state=State.CREATED,
        version=record.version,
        provider="",
        model=None,
        operation=None,
        user_id=record.user_id,
        session_id=record.session_id,
        requested_by=record.principal and record.principal.person,
        created_at=record.at,
        updated_at=record.at,
    )


def _changes(view: RunView, event: e.Event, record: RunEvent) -> dict[str, Any]:
    """Return what the event's facts change; the table of effects says the rest."""
    match event:  # what happens in every run comes first: each case that is not it costs
        case e.CheckpointOpened():
            return _opened(event, record.at)
        case e.CheckpointEdited() if event.diff:
            return {"last_approval": approval_of(event, view, record), **_edited(event, view)}
        case e.CheckpointApproved() | e.CheckpointEdited() | e.CheckpointRejected():
            return {"last_approval": approval_of(event, view, record)}
        case e.RunPrepared(preparation=p):
            cost = view.cost.changed({"estimated": p.estimate, "currency": p.currency})
            return {"provider": p.provider, "model": p.model, "operation": p.operation, "cost": cost}
        case e.CallSucceeded(execution=x):
            return {"cost": view.cost.changed({"actual": _sum(view.cost.actual, x.cost)})}
        case e.RunCompleted(result=result):
            return {"result": result}
        case e.CheckOrdered(step=Step.PAYLOAD_REVIEW):  # the estimate was another payload's
            return {"cost": view.cost.changed({"estimated": None})}
        case e.SubjectChecked(step=Step.PAYLOAD_REVIEW, checked=x):
            cost = view.cost.changed({"estimated": x.estimate, "currency": x.currency})
            return {"model": x.model, "cost": cost}
        case e.RunStarted(request=request):
            return {
                "provider": request.provider,
                "model": request.model,
                "operation": request.operation,
                "callback_url": request.callback_url,
                "labels": request.labels,
            }
        case e.RunRetried():
            decided = {} if event.checkpoint_id is None else {"last_approval": approval_of(event, view, record)}
            return {"error": None, **decided}
        case e.CallFailed(failure=failure):
            return {"cost": view.cost.changed({"actual": _sum(view.cost.actual, failure.known_cost)})}
        case e.CallStopped(spent=spent):
            return {"cost": view.cost.changed({"actual": _sum(view.cost.actual, spent.cost)})}
        case e.CheckpointEscalated(expires_at=expires_at) if view.checkpoint:
            escalated = {"expires_at": expires_at, "escalations": view.checkpoint.escalations + 1}
            return {"checkpoint": view.checkpoint.changed(escalated)}
        case e.RunResumed(expires_at=expires_at):
            return {"checkpoint": view.checkpoint and view.checkpoint.changed({"expires_at": expires_at})}
        case e.RunFailed(error=error) | e.RunCancelled(error=error):
            return {"error": error}
    return {}


def _edited(event: e.CheckpointEdited, view: RunView) -> dict[str, Any]:
    """Return what the view repeats of an edited subject."""
    subject = event.subject
    match event.step:
        case Step.INFORMATION_REVIEW:
            repeated = {name: subject.get(name) for name in ("provider", "model", "operation")}
            return {**repeated, "cost": view.cost.changed({"estimated": None})}
        case Step.PAYLOAD_REVIEW if isinstance(model := subject.get("model"), str):
            return {"model": model}
    return {}


def _opened(event: e.CheckpointOpened, at: datetime) -> dict[str, Any]:
    checkpoint = Checkpoint.of(
        checkpoint_id=event.checkpoint_id,
        step=event.step,
        reasons=event.reasons,
        subject=event.subject,
        subject_sha256=event.subject_sha256,
        subject_schema=event.subject_schema,
        issues=event.issues,
        opened_at=at,
        expires_at=event.expires_at,
        assignee=None,
        approvals_required=event.approvals_required,
        approvals=(),
        escalations=0,
    )
    changes: dict[str, Any] = {"checkpoint": checkpoint, "checkpoint_context": event.context}
    if (state := state_at(event.step)) is not None:
        changes["state"] = state
    return changes


Decided = e.CheckpointApproved | e.CheckpointEdited | e.CheckpointRejected | e.RunRetried


def approval_of(event: Decided, view: RunView, record: RunEvent) -> Approval:
    """Return a decision as it is shown, from the event that recorded it and the view before it."""
    checkpoint = view.checkpoint
    step, seen = (checkpoint.step, checkpoint.subject_sha256) if checkpoint else (Step.ERROR_REVIEW, "")
    said: dict[str, Any] = event.__dict__
    return Approval.of(
        checkpoint_id=event.checkpoint_id,
        step=step,
        action=EFFECTS[event.kind].action,
        actor=record.actor,
        at=record.at,
        subject_sha256=said.get("subject_sha256", seen),
        comment=said.get("comment"),
        message=said.get("message"),
        reason=said.get("reason"),
        reason_code=said.get("reason_code"),
        diff=said.get("diff", ()),
    )


def _pending(state: State, checkpoint: Checkpoint | None, error: e.RunError | None, *, paused: bool) -> tuple[str, ...]:
    if state in TERMINAL:
        return () if error is None else ("retry",)
    if paused:
        return ("resume",)
    if checkpoint is None:
        return ()
    if checkpoint.step is Step.ERROR_REVIEW:
        return ("retry", "edit", "reject")
    return ("approve", "edit", "reject")


def _waits_for(before: Wait | None, effect: Effect, record: RunEvent) -> Wait | None:
    facts: dict[str, Any] = record.data.__dict__
    is_limited = facts.get("waits_for") == "limit"
    if effect.awaits is not None:
        until = facts.get("retry_at") or facts.get("expires_at")
        return Wait.of(what="limit" if is_limited else effect.awaits, since=record.at, until=until)
    if not effect.goes_on or before is None:
        return None
    if effect.prolongs and facts.get("expires_at") is not None:
        return before.changed({"until": facts["expires_at"]})
    if record.kind == e.LeaseExtended.kind and is_limited is not (before.what == "limit"):
        return Wait.of(what="limit" if is_limited else "call", since=record.at, until=None)
    return before


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b
