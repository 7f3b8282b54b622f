"""A checkpoint and the decision on it, as outsiders see them, and how events make them."""

from __future__ import annotations

from datetime import datetime
from operator import not_
from typing import Any
from uuid import UUID

from pydantic import Field

from contracts.json_values import ComposedObject, JsonObject
from contracts.message import Message, Timestamp
from contracts.providers.call import Issue
from contracts.providers.signals import Reason
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.event_header import EFFECTS, Action
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.fold import fold_task, shift_task
from contracts.runs.tasks.persons import acting_for
from contracts.runs.tasks.task import PLAIN, Task, Vote, open_task


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
    task: Task = PLAIN


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
    on_behalf_of: str | None = Field(
        None, exclude_if=not_, description="The absent person whom the actor stood in for."
    )
    votes: tuple[Vote, ...] = Field((), exclude_if=not_, description="What each person said where several must agree.")


def on_task(checkpoint: Checkpoint, event: e.Event, record: RunEvent) -> Checkpoint:
    """Return the checkpoint after an event about its task."""
    if isinstance(event, e.CommentDeleted) and event.checkpoint_id != checkpoint.checkpoint_id:
        return checkpoint  # it was counted at an earlier one
    if isinstance(event, e.SubjectRevised):
        revised = {"subject": event.subject, "subject_sha256": event.subject_sha256, "issues": ()}
        checkpoint = checkpoint.changed(revised)
    elif isinstance(event, e.CheckpointEscalated):
        checkpoint = checkpoint.changed({"expires_at": event.expires_at, "escalations": checkpoint.escalations + 1})
    task = fold_task(checkpoint.task, event, record)
    return checkpoint.changed(
        {
            "task": task,
            "assignee": task.assignee,
            "approvals_required": task.approvals_required,
            "approvals": tuple({"actor": vote.by, "action": vote.action} for vote in task.standing if vote.approves),
        }
    )


def prolong(checkpoint: Checkpoint, expires_at: datetime | None, at: datetime) -> Checkpoint:
    """Return the checkpoint after a pause that ended `at`, with another end and the time given back to its task."""
    if expires_at is None:
        return checkpoint
    task = shift_task(checkpoint.task, expires_at - checkpoint.expires_at, at)
    return checkpoint.changed({"expires_at": expires_at, "task": task})


def open_checkpoint(event: e.CheckpointOpened, at: datetime) -> Checkpoint:
    """Return the checkpoint that an event opens."""
    return Checkpoint.of(
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
        task=open_task(event.rules, at, event.revised_by),
    )


Decided = e.CheckpointApproved | e.CheckpointEdited | e.CheckpointRejected | e.RunRetried


def approval_of(event: Decided, checkpoint: Checkpoint | None, record: RunEvent) -> Approval:
    """Return a decision as it is shown, from the event that recorded it and the checkpoint that it closed."""
    step, seen = (checkpoint.step, checkpoint.subject_sha256) if checkpoint else (Step.ERROR_REVIEW, "")
    said: dict[str, Any] = event.__dict__
    task = checkpoint.task if checkpoint else PLAIN
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
        on_behalf_of=task.votes[-1].on_behalf_of if task.votes else acting_for(record.principal, task.candidates),
        votes=task.votes
        and tuple(vote if vote.asked is None else vote.changed({"asked": None}) for vote in task.votes),
    )
