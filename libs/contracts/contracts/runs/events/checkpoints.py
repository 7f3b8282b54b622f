"""Events of checkpoints: passed, opened, decided, expired."""

from __future__ import annotations

from operator import not_
from uuid import UUID

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Timestamp
from contracts.providers.call import Issue
from contracts.providers.signals import Reason
from contracts.runs.config import OnTimeout, Step
from contracts.runs.events.base import Change, Event
from contracts.runs.tasks.rules import ReviewRules


class StepPassed(Event):
    """Policy let the run pass a checkpoint, and why."""

    kind = "step-passed.v1"
    step: Step
    reasons: tuple[Reason, ...]


class CheckpointOpened(Event):
    """The run waits for a person, who decides on exactly `subject`."""

    kind = "checkpoint-opened.v1"
    checkpoint_id: UUID
    step: Step
    reasons: tuple[Reason, ...]
    subject: ComposedObject
    subject_sha256: str
    subject_schema: ComposedObject = Field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    context: ComposedObject = Field(default_factory=dict)
    expires_at: Timestamp
    approvals_required: int = 1
    rules: ReviewRules | None = Field(None, exclude_if=not_)
    revised_by: str | None = Field(
        None, exclude_if=not_, description="Who edited the subject last, where four eyes are to see it."
    )


class _Decided(Event):
    checkpoint_id: UUID
    step: Step
    subject_sha256: str
    comment: str | None = None
    message: str | None = None


class CheckpointApproved(_Decided):
    kind = "checkpoint-approved.v1"


class CheckpointEdited(_Decided):
    """A person changed the subject and approved the result; `subject_sha256` is the result's."""

    kind = "checkpoint-edited.v1"
    edits: ComposedObject
    subject: ComposedObject
    diff: tuple[Change, ...]


class CheckpointRejected(_Decided):
    kind = "checkpoint-rejected.v1"
    reason: str | None = None
    reason_code: str | None = Field(None, exclude_if=not_)


class CheckpointExpired(Event):
    kind = "checkpoint-expired.v1"
    checkpoint_id: UUID
    step: Step
    on_timeout: OnTimeout


class CheckpointEscalated(Event):
    """No person decided in time; the request goes out once more, to all reviewers."""

    kind = "checkpoint-escalated.v1"
    checkpoint_id: UUID
    step: Step
    expires_at: Timestamp
