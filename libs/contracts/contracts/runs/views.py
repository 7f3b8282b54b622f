"""The run as outsiders see it, and the one fold that makes it of events.

The orchestrator answers commands with it and the gateway keeps it in the read model: the same function, so the same view.
"""

from __future__ import annotations

from datetime import datetime
from operator import not_
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Message, Timestamp
from contracts.providers.call import Cost
from contracts.runs import events as e
from contracts.runs.checkpoints import Approval, Checkpoint, approval_of, on_task, open_checkpoint, prolong
from contracts.runs.config import Step
from contracts.runs.event_header import EFFECTS, TERMINAL, UNKNOWN, Awaited, Effect, State, state_at
from contracts.runs.run_event import RunEvent

__all__ = ["TERMINAL", "Approval", "Checkpoint", "RenderedView", "RunView", "State", "project", "render"]


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
    changes = _changes(view, record.data, effect, record)
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


def _changes(view: RunView, event: e.Event, effect: Effect, record: RunEvent) -> dict[str, Any]:
    """Return what the event's facts change; the table of effects says the rest."""
    match event:  # what happens in every run comes first: each case that is not it costs
        case e.CheckpointOpened():
            opened: dict[str, Any] = {
                "checkpoint": open_checkpoint(event, record.at),
                "checkpoint_context": event.context,
            }
            return opened if (state := state_at(event.step)) is None else {**opened, "state": state}
        case e.CheckpointEdited() if event.diff:
            return {"last_approval": approval_of(event, view.checkpoint, record), **_edited(event, view)}
        case e.CheckpointApproved() | e.CheckpointEdited() | e.CheckpointRejected():
            return {"last_approval": approval_of(event, view.checkpoint, record)}
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
            decided = (
                {} if event.checkpoint_id is None else {"last_approval": approval_of(event, view.checkpoint, record)}
            )
            return {"error": None, **decided}
        case e.CallFailed(failure=failure):
            return {"cost": view.cost.changed({"actual": _sum(view.cost.actual, failure.known_cost)})}
        case e.CallStopped(spent=spent):
            return {"cost": view.cost.changed({"actual": _sum(view.cost.actual, spent.cost)})}
        case e.RunResumed(expires_at=expires_at):
            return {"checkpoint": view.checkpoint and prolong(view.checkpoint, expires_at, record.at)}
        case e.RunFailed(error=error) | e.RunCancelled(error=error):
            return {"error": error}
        case _ if effect.on_task and view.checkpoint:
            return {"checkpoint": on_task(view.checkpoint, event, record)}
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


def _pending(state: State, checkpoint: Checkpoint | None, error: e.RunError | None, *, paused: bool) -> tuple[str, ...]:
    if state in TERMINAL:
        return () if error is None else ("retry",)
    if paused:
        return ("resume",)
    if checkpoint is None:
        return ()
    if checkpoint.step is Step.ERROR_REVIEW and checkpoint.task.revised_by is None:
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
