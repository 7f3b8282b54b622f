"""Claims: who does it now, for a lease that activity renews."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.checkpoints import Checkpoint
from contracts.runs.tasks.persons import acting_persons, person_of
from contracts.runs.tasks.task import Task
from orchestrator.runs.refusals import ClaimedByOther, Delegated, NotClaimed
from orchestrator.runs.state import Run
from orchestrator.runs.tasks.eligibility import check_involved, is_involved, may_override, open_checkpoint

LEAST_RENEWAL = 0.1
"""The part of a lease by which a renewal must move its end: so activity costs few events."""


def claim(command: c.ClaimTask, run: Run) -> tuple[e.Event, ...]:
    """Claim the task, or renew one's claim. Raises NotCandidate, Delegated, ClaimedByOther."""
    checkpoint = open_checkpoint(command, run, "claim")
    task, person, at = checkpoint.task, person_of(command.principal, command.actor), command.at
    check_involved(command, task)
    overrides = may_override(command)
    is_asked_for_help = task.assignee in acting_persons(command.principal, command.actor)
    if task.delegation == "asked" and not is_asked_for_help and not overrides:
        raise Delegated(task.assignee, task.owner)
    holder = task.holder(at)
    if holder == person:
        return renewed(checkpoint, at)
    if holder is not None and not overrides:
        raise ClaimedByOther(holder, task.lease_until)
    about, until = checkpoint.checkpoint_id, at + timedelta(seconds=task.lease_seconds)
    return (
        *_lapsed(task, about, at),
        e.TaskClaimed(checkpoint_id=about, lease_until=until, reason=command.reason if overrides else None),
    )


def release(command: c.ReleaseTask, run: Run) -> tuple[e.Event, ...]:
    """Give a claim up; an administrator can end another's. Raises NotClaimed, ClaimedByOther."""
    checkpoint = open_checkpoint(command, run, "release")
    task, person = checkpoint.task, person_of(command.principal, command.actor)
    overrides, holder = may_override(command), task.holder(command.at)
    if holder != person:
        check_involved(command, task)
    if holder is None:
        raise NotClaimed
    if holder != person and not overrides:
        raise ClaimedByOther(holder, task.lease_until)
    reason = command.reason if overrides else None
    return (e.ClaimEnded(checkpoint_id=checkpoint.checkpoint_id, claimant=holder, why="released", reason=reason),)


def renewed(checkpoint: Checkpoint, at: datetime) -> tuple[e.Event, ...]:
    """Return the renewal of the present claim; none while it would move the end by next to nothing."""
    task, lease = checkpoint.task, timedelta(seconds=checkpoint.task.lease_seconds)
    until = at + lease
    if task.lease_until is not None and until - task.lease_until < lease * LEAST_RENEWAL:
        return ()
    return (e.ClaimRenewed(checkpoint_id=checkpoint.checkpoint_id, lease_until=until),)


def renewed_by(command: c.Asked, run: Run) -> tuple[e.Event, ...]:
    """Return the renewal that a holder's activity brings."""
    checkpoint = run.view.checkpoint
    if checkpoint is None or not is_involved(command, checkpoint.task):
        return ()
    is_holder = checkpoint.task.holder(command.at) == person_of(command.principal, command.actor)
    return renewed(checkpoint, command.at) if is_holder else ()


def _lapsed(task: Task, about: UUID, at: datetime) -> tuple[e.Event, ...]:
    """Return the end of a claim whose lease ended before the clock said so."""
    if task.claimant is None or task.holder(at) is not None:
        return ()
    return (e.ClaimEnded(checkpoint_id=about, claimant=task.claimant, why="expired"),)
