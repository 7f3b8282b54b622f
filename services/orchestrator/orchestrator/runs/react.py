"""What follows from an event: orders to workers, and the one deadline that the run waits for.

It follows for the run as it is now. So an old event that is published again orders only an attempt that is still awaited.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from contracts.providers.call import CallIntent, Preparation
from contracts.providers.call_stream import AnyStop, HoldCall, ReleaseBudget, StopCall
from contracts.providers.orders import CheckOrder, ExecuteOrder, Order, PrepareOrder
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.aggregate import Deadline, Due
from orchestrator.runs.state import Attempt, OrderKind, Run
from orchestrator.runs.tasks.schedule import next_moment


def react(event: e.Event, run: Run) -> tuple[Order | AnyStop | Deadline, ...]:
    """Return the orders and the deadline that follow from `event` for `run` as it is now.

    Nothing follows for a run with a newer history: no order, and its deadline is left as it is.
    """
    return (*orders(event, run), deadline(run)) if run.newer_kind is None else ()


ORDERING = frozenset(
    (
        e.RunStarted,
        e.PreparationOrdered,
        e.CheckOrdered,
        e.CallOrdered,
        e.CallDoubted,
        e.RunPaused,
        e.RunCancelled,
        e.RunFailed,
        e.RunCompleted,
        e.CallNoted,
    )
)
"""The types of event that orders may follow from."""


def orders(event: e.Event, run: Run) -> tuple[Order | AnyStop, ...]:
    """Return the order that follows from `event` if `run` still waits for it, or the orders to hold or stop a call, and to hold no money."""
    if run.newer_kind is not None:
        return ()
    match event:
        case e.RunStarted() | e.PreparationOrdered() | e.CheckOrdered() | e.CallOrdered() | e.CallDoubted():
            attempt = run.attempt
            if attempt is not None and attempt.lease_until is not None and _asks_for(event, attempt):
                return (_order(run, attempt, attempt.lease_until),)
        case e.RunPaused() if run.view.paused and run.attempt is not None and run.attempt.is_running_call:
            return () if run.noted is not None else (_hold(run, run.attempt),)
        case e.RunCancelled() | e.RunCompleted() | e.CallNoted() | e.RunFailed():
            stop = () if run.stopping is None else (_stop(run, run.stopping),)
            ended = run.ended if isinstance(event, e.RunCancelled | e.RunFailed) else None
            return (
                stop if ended is None else (*stop, ReleaseBudget(run_id=run.run_id, tenant=run.tenant, version=ended))
            )
    return ()


def deadline(run: Run) -> Deadline:
    """Return the deadline that `run` waits for now."""
    return Deadline(run.run_id, _due(run))


_Ordering = e.RunStarted | e.PreparationOrdered | e.CheckOrdered | e.CallOrdered | e.CallDoubted


def _asks_for(event: _Ordering, attempt: Attempt) -> bool:
    if attempt.is_made_in_one:
        return False
    number = 1 if isinstance(event, e.RunStarted) else event.attempt
    doubted = isinstance(event, e.CallDoubted)
    return (event.work_id, number, doubted) == (attempt.work_id, attempt.number, attempt.doubted)


def _order(run: Run, attempt: Attempt, deadline: datetime) -> Order:
    request, config = run.request, run.config
    about = {
        "run_id": run.run_id,
        "work_id": attempt.work_id,
        "attempt": attempt.number,
        "tenant": run.tenant,
        "user_id": request.user_id,
        "session_id": request.session_id,
        "deadline": deadline,
        "lease_seconds": config.lease_seconds,
        "checks": config.checks,
        "budget": config.budget,
    }
    if attempt.kind is OrderKind.PREPARE:
        shown = config.allows(Step.INFORMATION_REVIEW) and Step.INFORMATION_REVIEW not in run.cleared
        return PrepareOrder(
            **about,
            intent=run.intent,
            tool=request.tool,
            with_capabilities=shown and not attempt.in_one,
            tried=run.tried,
            in_one=attempt.in_one,
            doubted=attempt.doubted,
        )
    prepared = run.preparation
    assert prepared is not None, "a check and a call follow a preparation"
    if attempt.kind is OrderKind.CHECK:
        return CheckOrder(
            **about,
            provider=prepared.provider,
            model=prepared.model,
            operation=prepared.operation,
            payload=run.payload or {},
            prompt=run.intent.prompt,
            response=run.response if run.unchecked is Step.RESPONSE_REVIEW else None,
        )
    assert run.payload_sha256 is not None, "a call is ordered with a digest"
    return ExecuteOrder(
        **about,
        provider=prepared.provider,
        model=prepared.model,
        operation=prepared.operation,
        payload=run.payload or {},
        payload_sha256=run.payload_sha256,
        resume=run.resumable,
        doubted=attempt.doubted,
        over_budget_approved=run.is_over_budget and run.approved_sha256 is not None,
    )


def _hold(run: Run, call: Attempt) -> HoldCall:
    about = {"run_id": run.run_id, "tenant": run.tenant, "work_id": call.work_id, "attempt": call.number}
    return HoldCall(**about, provider=_offer(run).provider)


def _stop(run: Run, call: Attempt) -> StopCall:
    offer = _offer(run)
    return StopCall(
        run_id=run.run_id,
        tenant=run.tenant,
        work_id=call.work_id,
        attempt=call.number,
        provider=offer.provider,
        operation=offer.operation or "",
        model=offer.model,
        provider_call_id=run.noted.provider_call_id if run.noted else None,
    )


def _offer(run: Run) -> Preparation | CallIntent:
    # A call that is made in one with its preparation may be under way before the run has heard of either.
    return run.preparation or run.intent


def command_of(run_id: UUID, due: Due) -> c.FromClock | None:
    """Return the command that a deadline sends when its time has come; None for a kind of a newer version."""
    if due.kind not in _NAMES:
        return None
    # The id holds the time: a deadline that moved is another command, which an older refusal does not answer.
    names = (_NAMES[due.kind], due.about, *(() if due.kind == _CHECKPOINT else (due.count,)), due.at.isoformat())
    said = {"run_id": run_id, "tenant": due.tenant, "at": due.at, "command_id": c.command_id(run_id, *names)}
    if due.kind == _CHECKPOINT:
        return c.ExpireCheckpoint(**said, checkpoint_id=UUID(due.about), escalations=due.count)
    if due.kind == _TASK:
        checkpoint_id, what = due.about.split(" ")
        return c.PassTaskTime(**said, checkpoint_id=UUID(checkpoint_id), what=what, epoch=due.count)
    command = c.ExpireLease if due.kind == _LEASE else c.RetryWork
    return command(**said, work_id=due.about, attempt=due.count)


_LEASE, _RETRY, _CHECKPOINT, _TASK = "expire-lease.v1", "retry-work.v1", "expire-checkpoint.v1", "pass-task-time.v1"
ORDERING_KINDS = frozenset((_LEASE,))
"""Orders are out while a lease runs; a run that waits for a person or for another try has none."""

_NAMES = {_LEASE: "lease", _RETRY: "retry", _CHECKPOINT: "checkpoint", _TASK: "task"}


def _due(run: Run) -> Due | None:
    view, attempt = run.view, run.attempt or run.stopping
    if attempt is not None and attempt.lease_until is not None:
        return Due(_LEASE, run.tenant, attempt.lease_until, attempt.work_id, attempt.number)
    if view.is_over or view.paused:
        return None
    if attempt is not None and attempt.retry_at is not None:
        return Due(_RETRY, run.tenant, attempt.retry_at, attempt.work_id, attempt.number)
    checkpoint = view.checkpoint
    if checkpoint is not None:
        about, moment = str(checkpoint.checkpoint_id), next_moment(checkpoint.task)
        if moment is not None and moment.at < checkpoint.expires_at:
            return Due(_TASK, run.tenant, moment.at, f"{about} {moment.what}", checkpoint.task.epoch)
        return Due(_CHECKPOINT, run.tenant, checkpoint.expires_at, about, checkpoint.escalations)
    return None
