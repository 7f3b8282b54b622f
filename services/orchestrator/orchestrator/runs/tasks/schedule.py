"""The times of a task: the next that comes, what follows when it has come, and how people move them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from contracts.providers.call import Issue
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.checkpoints import Checkpoint
from contracts.runs.tasks.task import Task, announced_at
from orchestrator.runs.refusals import StaleCommand, ValidationFailed
from orchestrator.runs.state import Run
from orchestrator.runs.tasks.eligibility import check_involved, open_checkpoint


class Moment(NamedTuple):
    """A time of a task, and what it is the time of."""

    at: datetime
    what: str


def next_moment(task: Task) -> Moment | None:
    """Return the next time that a task waits for, beside the end of its checkpoint."""
    return min(_moments(task), default=None)


def _moments(task: Task) -> list[Moment]:
    times = (
        (None if task.lease_ending else announced_at(task), "lease_ending"),
        (task.lease_until, "lease_end"),
        (task.reminders_at[0] if task.reminders_at else None, "reminder"),
        (None if task.started_at or "start_by" in task.missed else task.start_by, "start_by"),
        (None if "due_at" in task.missed else task.due_at, "due_at"),
        (task.follow_up_at, "follow_up_at"),
        (task.escalate_at, "escalation"),
    )
    return [Moment(at, what) for at, what in times if at is not None]


def pass_time(command: c.PassTaskTime, run: Run) -> e.Event:
    """Return what follows as a time has come. Raises StaleCommand if the task has moved on since it was set."""
    checkpoint = run.view.checkpoint
    is_meant = checkpoint is not None and checkpoint.checkpoint_id == command.checkpoint_id
    if checkpoint is None or not is_meant or checkpoint.task.epoch != command.epoch or run.view.paused:
        raise StaleCommand("tell a time of a task of", run.view)
    come = {moment.what for moment in _moments(checkpoint.task) if moment.at <= command.at}
    if command.what not in come:
        raise StaleCommand("tell, before it has come, a time of a task of", run.view)
    return _event(command.what, checkpoint)


def _event(what: str, checkpoint: Checkpoint) -> e.Event:
    about, task = checkpoint.checkpoint_id, checkpoint.task
    match what:
        case "lease_ending":
            assert task.claimant is not None, "a lease has its claimant"
            assert task.lease_until is not None, "and its end"
            return e.ClaimEnding(checkpoint_id=about, claimant=task.claimant, lease_until=task.lease_until)
        case "lease_end":
            assert task.claimant is not None, "a lease has its claimant"
            return e.ClaimEnded(checkpoint_id=about, claimant=task.claimant, why="expired")
        case "escalation":
            return e.TaskEscalated(checkpoint_id=about, candidates=task.escalate_to or task.candidates)
        case "reminder" | "start_by" | "due_at" | "follow_up_at":
            return e.TaskReminded(checkpoint_id=about, what=what)
        case _:
            raise AssertionError(what)


def reschedule(command: c.RescheduleTask, run: Run) -> e.TaskRescheduled:
    """Change priority and dates. Raises NotCandidate, ValidationFailed for a date that has passed."""
    checkpoint = open_checkpoint(command, run, "reschedule")
    task = checkpoint.task
    check_involved(command, task)
    for name, date in (("due_at", command.due_at), ("follow_up_at", command.follow_up_at)):
        if date is not None and date <= command.at:
            raise ValidationFailed([Issue(code="value_error", path=f"/{name}", message="this time has passed")])
    return e.TaskRescheduled(
        checkpoint_id=checkpoint.checkpoint_id,
        priority=task.priority if command.priority is None else command.priority,
        due_at=None if "due_at" in command.cleared else command.due_at or task.due_at,
        follow_up_at=None if "follow_up_at" in command.cleared else command.follow_up_at or task.follow_up_at,
    )
