"""Events of the task at a checkpoint: who is asked, who does it, what people say, and which times came. The actor is the record's."""

from __future__ import annotations

from operator import not_
from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Timestamp
from contracts.runs.config import Step
from contracts.runs.events.base import Change, Event
from contracts.runs.tasks.rules import Candidates


class _OfTask(Event):
    checkpoint_id: UUID


class TaskClaimed(_OfTask):
    """The actor does it, until the lease ends. `reason` is given where another's claim was overridden."""

    kind = "task-claimed.v1"
    lease_until: Timestamp
    reason: str | None = Field(None, exclude_if=not_)


class ClaimRenewed(_OfTask):
    """The claimant is still at it."""

    kind = "claim-renewed.v1"
    lease_until: Timestamp


class ClaimEnding(_OfTask):
    """The lease ends soon, and its claimant is told so."""

    kind = "claim-ending.v1"
    claimant: str
    lease_until: Timestamp


class ClaimEnded(_OfTask):
    """The task is open again: it was released, or the lease ended."""

    kind = "claim-ended.v1"
    claimant: str
    why: Literal["released", "expired"]
    reason: str | None = Field(None, exclude_if=not_)


class TaskAssigned(_OfTask):
    """A person should do it, or the members of a group. `candidates` are those who may decide from then on."""

    kind = "task-assigned.v1"
    assignee: str | None
    candidates: Candidates
    reason: str | None = Field(None, exclude_if=not_)


class TaskDelegated(_OfTask):
    """The owner asks another person for help, who gives it back."""

    kind = "task-delegated.v1"
    delegate: str
    owner: str
    reason: str | None = Field(None, exclude_if=not_)


class TaskReturned(_OfTask):
    """The delegate gives it back to its owner."""

    kind = "task-returned.v1"
    owner: str


class TaskEscalated(_OfTask):
    """Others are asked in place of those before, and the claim is over."""

    kind = "task-escalated.v1"
    candidates: Candidates
    reason: str | None = Field(None, exclude_if=not_)


class TaskRescheduled(_OfTask):
    """Its priority and dates, as they are from then on."""

    kind = "task-rescheduled.v1"
    priority: int
    due_at: Timestamp | None
    follow_up_at: Timestamp | None


class TaskReminded(_OfTask):
    """A time came: a reminder, the follow-up date, or one that was missed."""

    kind = "task-reminded.v1"
    what: Literal["reminder", "start_by", "due_at", "follow_up_at"]


class VoteCast(_OfTask):
    """A person said what to do. `left` are persons whose earlier votes count no more, because they may not decide any more."""

    kind = "vote-cast.v1"
    step: Step
    action: Literal["approve", "edit", "reject", "retry"]
    subject_sha256: str
    counts: bool = True
    on_behalf_of: str | None = Field(None, exclude_if=not_)
    left: tuple[str, ...] = Field((), exclude_if=not_)
    comment: str | None = None
    message: str | None = None
    reason: str | None = None
    reason_code: str | None = Field(None, exclude_if=not_)


class SubjectRevised(_OfTask):
    """A person changed the subject, and others are to approve the result: votes begin anew.

    `edits` and `diff` lead to `subject` from what was shown first, and so hold the edits of all.
    """

    kind = "subject-revised.v1"
    step: Step
    edits: ComposedObject
    subject: ComposedObject
    subject_sha256: str
    diff: tuple[Change, ...]
    comment: str | None = None
    message: str | None = None


class StageApproved(_OfTask):
    """A stage has its approvals; the next one begins."""

    kind = "stage-approved.v1"
    stage: str
    following: str


class _OfComment(Event):
    comment_id: UUID


class CommentAdded(_OfComment):
    """A person commented on what waits, or answered the comment `reply_to`."""

    kind = "comment-added.v1"
    checkpoint_id: UUID | None
    text: str
    reply_to: UUID | None = None


class CommentEdited(_OfComment):
    kind = "comment-edited.v1"
    text: str


class CommentDeleted(_OfComment):
    """The comment is shown no more; that it was there stays. `checkpoint_id` is where it was added."""

    kind = "comment-deleted.v1"
    checkpoint_id: UUID | None


class DraftBegun(_OfTask):
    """The actor has a draft of a decision. Its content stands in the read model alone."""

    kind = "draft-begun.v1"


class DraftDropped(_OfTask):
    kind = "draft-dropped.v1"
