"""What people ask about the task at a checkpoint, and what the clock says of it."""

from __future__ import annotations

from operator import not_
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from contracts.message import StoredIdentifier, Text
from contracts.runs.commands.base import Asked, Command
from contracts.runs.tasks.rules import Candidates, Date, Priority

CommentText = Annotated[str, Field(min_length=1, max_length=20_000)]


class OfTask(Asked):
    """A command about the open checkpoint, or the one that it names. `override` asks for an administrator's right, with a reason."""

    checkpoint_id: UUID | None = None
    override: bool = Field(default=False, exclude_if=not_)
    reason: Text | None = Field(None, exclude_if=not_)


class ClaimTask(OfTask):
    """Do it: for the lease, which a further claim of the same person renews."""

    kind: Literal["claim-task.v1"] = "claim-task.v1"


class ReleaseTask(OfTask):
    kind: Literal["release-task.v1"] = "release-task.v1"


class AssignTask(OfTask):
    """Say which person or group should do it. One of both is given."""

    kind: Literal["assign-task.v1"] = "assign-task.v1"
    user: StoredIdentifier | None = None
    group: StoredIdentifier | None = None


class DelegateTask(OfTask):
    """Ask another person, who gives it back."""

    kind: Literal["delegate-task.v1"] = "delegate-task.v1"
    user: StoredIdentifier


class ReturnTask(OfTask):
    """Give a delegated task back to its owner."""

    kind: Literal["return-task.v1"] = "return-task.v1"
    comment: CommentText | None = None


class EscalateTask(OfTask):
    """Ask others in place of those before; those that the rules name, or `to`."""

    kind: Literal["escalate-task.v1"] = "escalate-task.v1"
    to: Candidates | None = None


class RescheduleTask(OfTask):
    """Change its priority and dates. `cleared` are dates that it is to have no more; what is not named stays."""

    kind: Literal["reschedule-task.v1"] = "reschedule-task.v1"
    priority: Priority | None = None
    due_at: Date | None = None
    follow_up_at: Date | None = None
    cleared: tuple[Literal["due_at", "follow_up_at"], ...] = ()


class KeepDraft(OfTask):
    """The person has a draft of a decision, and is at it."""

    kind: Literal["keep-draft.v1"] = "keep-draft.v1"


class DropDraft(OfTask):
    kind: Literal["drop-draft.v1"] = "drop-draft.v1"


class AddComment(Asked):
    """Comment on what waits. The command's id becomes the comment's."""

    kind: Literal["add-comment.v1"] = "add-comment.v1"
    text: CommentText
    answers: UUID | None = Field(None, description="The comment that it answers.")


class EditComment(Asked):
    kind: Literal["edit-comment.v1"] = "edit-comment.v1"
    comment_id: UUID
    text: CommentText


class DeleteComment(Asked):
    kind: Literal["delete-comment.v1"] = "delete-comment.v1"
    comment_id: UUID


class PassTaskTime(Command):
    """A time of the task has come, in the epoch in which it was set."""

    kind: Literal["pass-task-time.v1"] = "pass-task-time.v1"
    checkpoint_id: UUID
    what: StoredIdentifier
    epoch: int
