"""What the world is asked to do because of an event: orders to workers, and the one time the run waits for.

Given the run as it is now, not as it was at the event: an old event that is published again orders only what is still awaited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.policy import Step
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.work import ExecuteOrder, Order, PrepareOrder
from orchestrator.run.state import Run, Work, WorkKind


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next time at which something falls due for a run, and the command that says so; None clears it."""

    run_id: UUID
    due: c.FromClock | None


def react(event: e.Event, run: Run) -> tuple[Order | Deadline, ...]:
    """Return what follows from `event` for `run` as it is now."""
    deadline = Deadline(run.run_id, _due(run))
    match event:
        case e.RunStarted() | e.PreparationOrdered() | e.CallOrdered():
            work = run.work
            if work is not None and work.lease_until is not None and _is_same(event, work):
                return (_order(run, work, work.lease_until), deadline)
    return (deadline,)


def _is_same(event: e.RunStarted | e.PreparationOrdered | e.CallOrdered, work: Work) -> bool:
    attempt = 1 if isinstance(event, e.RunStarted) else event.attempt
    return (event.work_id, attempt) == (work.work_id, work.attempt)


def _order(run: Run, work: Work, deadline: datetime) -> Order:
    about = {
        "run_id": run.run_id,
        "work_id": work.work_id,
        "attempt": work.attempt,
        "tenant": run.tenant,
        "session_id": run.request.session_id,
        "deadline": deadline,
        "lease_seconds": run.config.lease_seconds,
    }
    if work.kind is WorkKind.PREPARE:
        shown = run.config.allows(Step.INFORMATION_REVIEW) and Step.INFORMATION_REVIEW not in run.cleared
        return PrepareOrder(**about, intent=run.intent, tool=run.request.tool, with_capabilities=shown)
    prepared = run.preparation
    assert prepared is not None, "a call follows a preparation"
    assert run.payload_sha256 is not None, "a call is ordered with a digest"
    return ExecuteOrder(
        **about,
        provider=prepared.provider,
        model=prepared.model,
        operation=prepared.operation,
        payload=run.payload or {},
        payload_sha256=run.payload_sha256,
    )


def _due(run: Run) -> c.FromClock | None:
    view, work = run.view, run.work
    if work is not None and work.lease_until is not None:
        return c.ExpireLease(**_of(run, work.lease_until, "lease", work.work_id, work.attempt), **_about(work))
    if view.is_over or view.paused:
        return None
    if work is not None and work.retry_at is not None:
        return c.RetryWork(**_of(run, work.retry_at, "retry", work.work_id, work.attempt), **_about(work))
    if view.checkpoint is not None:
        checkpoint = view.checkpoint
        return c.ExpireCheckpoint(
            **_of(run, checkpoint.expires_at, "checkpoint", checkpoint.checkpoint_id),
            checkpoint_id=checkpoint.checkpoint_id,
            escalations=checkpoint.escalations,
        )
    return None


def _about(work: Work) -> dict[str, object]:
    return {"work_id": work.work_id, "attempt": work.attempt}


def _of(run: Run, at: datetime, *names: object) -> dict[str, object]:
    # The time is part of the id: a deadline that moved is another command, and the old one's refusal does not bind it.
    return {
        "run_id": run.run_id,
        "tenant": run.tenant,
        "at": at,
        "command_id": c.command_id(run.run_id, *names, at.isoformat()),
    }
