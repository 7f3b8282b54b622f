"""The orders that a run gives to workers, and the leases that end them."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.json_values import digest
from contracts.providers.call import Preparation
from contracts.providers.signals import Reason
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.checkpoints.reviews import open_payload_review
from orchestrator.runs.state import Attempt, Run

_SUBJECT_CHANGED = Reason(code="subject_changed", message="the payload, or who gets it, is not what was approved")


def order_preparation(run: Run, at: datetime, scheduled: Attempt | None = None) -> e.PreparationOrdered:
    """Return a new order to prepare, or the order of a scheduled attempt."""
    work_id, number = _identity(run, scheduled)
    return e.PreparationOrdered(work_id=work_id, attempt=number, lease_until=_lease_until(run, at))


def order_check(run: Run, at: datetime, scheduled: Attempt | None = None, *, step: Step) -> e.CheckOrdered:
    """Return a new order to check the edited subject of `step`, or the order of a scheduled attempt."""
    work_id, number = _identity(run, scheduled)
    return e.CheckOrdered(work_id=work_id, attempt=number, lease_until=_lease_until(run, at), step=step)


def order_call(run: Run, at: datetime, scheduled: Attempt | None = None) -> e.CallOrdered | e.CheckpointOpened:
    """Return a new order to call, or the order of a scheduled attempt.

    If the payload or its candidate differs from what a person approved, return a payload review in its place.
    """
    payload_sha256 = digest(run.payload)
    approved = (run.approved_sha256, run.approved_for)
    if run.preparation is not None and approved not in ((None, None), (payload_sha256, run.candidate)):
        return open_payload_review(run, run.preparation, at, (_SUBJECT_CHANGED,))
    work_id, number = _identity(run, scheduled)
    return e.CallOrdered(
        work_id=work_id, attempt=number, lease_until=_lease_until(run, at), payload_sha256=payload_sha256
    )


def order_call_in_one(run: Run, at: datetime, attempt: Attempt, prepared: Preparation) -> e.CallOrdered:
    """Return the call that the worker makes which prepared its payload, under the same order."""
    return e.CallOrdered(
        work_id=attempt.work_id,
        attempt=attempt.number,
        lease_until=_lease_until(run, at),
        payload_sha256=digest(prepared.payload),
        in_one=True,
    )


def extend_lease(command: c.ExtendLease, run: Run) -> e.LeaseExtended:
    """Return the lease that counts anew from now."""
    until = _lease_until(run, command.at)
    return e.LeaseExtended(
        work_id=command.work_id, attempt=command.attempt, lease_until=until, waits_for=command.waits_for
    )


def postpone(attempt: Attempt, run: Run, at: datetime, seconds: float) -> e.RetryScheduled:
    """Return the same attempt for later, as a new order: the one that was given back can be begun by no worker."""
    retry_at = at + timedelta(seconds=seconds * spread(run))
    return e.RetryScheduled(work_id=run.next_work_id(), attempt=attempt.number, retry_at=retry_at, waits_for="limit")


def spread(run: Run) -> float:
    """Return a factor from 1 to 1.25 by the run's id, so that runs that left together do not return together."""
    return 1 + (run.run_id.int % 1000) / 4000


def _identity(run: Run, scheduled: Attempt | None) -> tuple[str, int]:
    return (scheduled.work_id, scheduled.number) if scheduled else (run.next_work_id(), 1)


def _lease_until(run: Run, at: datetime) -> datetime:
    return at + timedelta(seconds=run.config.lease_seconds)
