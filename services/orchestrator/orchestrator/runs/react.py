"""What the world is asked to do because of an event: orders to workers, and the one time the run waits for.

Given the run as it is now, not as it was at the event: an old event that is published again orders only what is still awaited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.providers.call_stream import StopCall
from contracts.providers.orders import ExecuteOrder, Order, PrepareOrder
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.state import Run, Work, WorkKind


@dataclass(frozen=True, slots=True)
class Due:
    """What falls due at `at`: a command, and what it is about, a piece of work and its attempt or a checkpoint and its escalations."""

    kind: str
    tenant: str
    at: datetime
    about: str
    count: int


class Deadline(NamedTuple):
    """The next time at which something falls due for a run; None clears it."""

    run_id: UUID
    due: Due | None


def react(event: e.Event, run: Run) -> tuple[Order | StopCall | Deadline, ...]:
    """Return what follows from `event` for `run` as it is now."""
    return (*orders(event, run), deadline(run))


ORDERING = frozenset(
    (
        e.RunStarted,
        e.PreparationOrdered,
        e.CallOrdered,
        e.CallDoubted,
        e.RunCancelled,
        e.RunCompleted,
        e.CallNoted,
    )
)
"""The kinds of event that something to do may follow from."""


def orders(event: e.Event, run: Run) -> tuple[Order | StopCall, ...]:
    """Return the orders that follow from `event`, as far as `run` still waits for them, or the order to stop a call."""
    match event:
        case e.RunStarted() | e.PreparationOrdered() | e.CallOrdered() | e.CallDoubted():
            work = run.work
            if work is not None and work.lease_until is not None and _is_same(event, work):
                return (_order(run, work, work.lease_until),)
        case e.RunCancelled() | e.RunCompleted() | e.CallNoted() if run.stopping is not None:
            return (_stop(run, run.stopping),)
    return ()


def deadline(run: Run) -> Deadline:
    """Return the time that `run` waits for."""
    return Deadline(run.run_id, _due(run))


def _is_same(event: e.RunStarted | e.PreparationOrdered | e.CallOrdered | e.CallDoubted, work: Work) -> bool:
    attempt = 1 if isinstance(event, e.RunStarted) else event.attempt
    doubted = isinstance(event, e.CallDoubted)
    return (event.work_id, attempt, doubted) == (work.work_id, work.attempt, work.doubted)


def _order(run: Run, work: Work, deadline: datetime) -> Order:
    request, config = run.request, run.config
    about = {
        "run_id": run.run_id,
        "work_id": work.work_id,
        "attempt": work.attempt,
        "tenant": run.tenant,
        "user_id": request.user_id,
        "session_id": request.session_id,
        "deadline": deadline,
        "lease_seconds": config.lease_seconds,
        "checks": config.checks,
        "budget": config.budget,
    }
    if work.kind is WorkKind.PREPARE:
        shown = config.allows(Step.INFORMATION_REVIEW) and Step.INFORMATION_REVIEW not in run.cleared
        return PrepareOrder(**about, intent=run.intent, tool=request.tool, with_capabilities=shown, tried=run.tried)
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
        resume=run.resumable,
        doubted=work.doubted,
        over_budget_approved=run.is_over_budget and run.approved_sha256 is not None,
    )


def _stop(run: Run, call: Work) -> StopCall:
    prepared = run.preparation
    assert prepared is not None, "a call follows a preparation"
    return StopCall(
        run_id=run.run_id,
        tenant=run.tenant,
        work_id=call.work_id,
        attempt=call.attempt,
        provider=prepared.provider,
        operation=prepared.operation,
        model=prepared.model,
        provider_call_id=run.noted.provider_call_id if run.noted else None,
    )


def command_of(run_id: UUID, due: Due) -> c.FromClock:
    """Return the command that says that something has fallen due."""
    # The time is part of the id: a deadline that moved is another command, and the old one's refusal does not bind it.
    names = (_NAMES[due.kind], due.about, *(() if due.kind == _CHECKPOINT else (due.count,)), due.at.isoformat())
    said = {"run_id": run_id, "tenant": due.tenant, "at": due.at, "command_id": c.command_id(run_id, *names)}
    if due.kind == _CHECKPOINT:
        return c.ExpireCheckpoint(**said, checkpoint_id=UUID(due.about), escalations=due.count)
    command = c.ExpireLease if due.kind == _LEASE else c.RetryWork
    return command(**said, work_id=due.about, attempt=due.count)


_LEASE, _RETRY, _CHECKPOINT = "expire-lease.v1", "retry-work.v1", "expire-checkpoint.v1"
_NAMES = {_LEASE: "lease", _RETRY: "retry", _CHECKPOINT: "checkpoint"}


def _due(run: Run) -> Due | None:
    view, work = run.view, run.work or run.stopping
    if work is not None and work.lease_until is not None:
        return Due(_LEASE, run.tenant, work.lease_until, work.work_id, work.attempt)
    if view.is_over or view.paused:
        return None
    if work is not None and work.retry_at is not None:
        return Due(_RETRY, run.tenant, work.retry_at, work.work_id, work.attempt)
    checkpoint = view.checkpoint
    if checkpoint is not None:
        about = str(checkpoint.checkpoint_id)
        return Due(_CHECKPOINT, run.tenant, checkpoint.expires_at, about, checkpoint.escalations)
    return None
