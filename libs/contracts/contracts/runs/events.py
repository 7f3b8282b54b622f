"""The events of a run. Stored and published as the same bytes; each kind is stable, and grows by adding only."""

from __future__ import annotations

from operator import not_
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field, model_serializer

from contracts.json_values import ComposedObject
from contracts.message import Message, Timestamp
from contracts.notices import Parent
from contracts.providers.call import Checked, Ending, Execution, Failure, Issue, Preparation, Received, Spent
from contracts.providers.routing import Candidate
from contracts.providers.signals import Reason
from contracts.runs.config import OnTimeout, Step
from contracts.runs.requests import RunRequest


class Event(Message):
    """The facts of one event, without its place in the run (see `run_event`)."""

    kind: ClassVar[str]


class RunStarted(Event):
    """A run was asked for, and with it its first preparation. `in_one`: its worker makes the call too, if nothing is in question."""

    kind = "run-started.v1"
    request: RunRequest
    work_id: str
    lease_until: Timestamp
    parent: Parent | None = Field(None, exclude_if=not_)
    in_one: bool = Field(default=False, exclude_if=not_)


class _Ordered(Event):
    work_id: str
    attempt: int
    lease_until: Timestamp


class PreparationOrdered(_Ordered):
    kind = "preparation-ordered.v1"


class CheckOrdered(_Ordered):
    """What a person edited is priced and checked again before it counts."""

    kind = "check-ordered.v1"
    step: Step


class CallOrdered(_Ordered):
    """The intent to call, durable before the call: these bytes, this attempt. `in_one`: the worker that prepared them makes it."""

    kind = "call-ordered.v1"
    payload_sha256: str
    in_one: bool = Field(default=False, exclude_if=not_)


class LeaseExtended(_Ordered):
    """The worker is alive. `waits_for` is what the order waits for before it begins: `limit`, a rate limit of the account."""

    kind = "lease-extended.v1"
    waits_for: str | None = Field(None, exclude_if=not_)


class CallDoubted(_Ordered):
    """No worker reported on the call: it is ordered once more, and begun only by a worker that finds no claim on it."""

    kind = "call-doubted.v1"


class _Answered(Event):
    work_id: str
    attempt: int


class CallNoted(_Answered):
    """The provider accepted the call, and can be asked about it by this id."""

    kind = "call-noted.v1"
    provider_call_id: str


class RunPrepared(_Answered):
    kind = "run-prepared.v1"
    preparation: Preparation


class PreparationFailed(_Answered):
    kind = "preparation-failed.v1"
    failure: Failure


class SubjectChecked(_Answered):
    """An edited subject was priced and checked. With `reasons` a person looks at it again."""

    kind = "subject-checked.v1"
    step: Step
    checked: Checked
    reasons: tuple[Reason, ...] = ()


class CheckFailed(_Answered):
    kind = "check-failed.v1"
    failure: Failure


class CallSucceeded(_Answered):
    kind = "call-succeeded.v1"
    execution: Execution


class CallFailed(_Answered):
    kind = "call-failed.v1"
    failure: Failure


class CallStopped(_Answered):
    """A call has ended whose answer is not awaited: its run is over, or was paused before the call began.

    `spent` is its cost as far as that is known.
    """

    kind = "call-stopped.v1"
    ending: Ending
    spent: Spent
    failure: Failure | None = None
    provider_request_id: str | None = None


class RouteFellBack(Event):
    """The route's candidate could not carry the call, for this reason; another candidate is prepared."""

    kind = "route-fell-back.v1"
    failed: Candidate
    reason: Reason


class RetryScheduled(Event):
    """The next attempt is made at `retry_at`. `waits_for` is what an attempt waits for that was ordered and not begun: `limit`."""

    kind = "retry-scheduled.v1"
    work_id: str
    attempt: int
    retry_at: Timestamp
    waits_for: str | None = Field(None, exclude_if=not_)


class Change(Message):
    """One member that differs between two JSON values. `before` or `after` is absent where the member was."""

    path: str
    before: Any = None
    after: Any = None


class PayloadFixed(Event):
    """Policy applied the fixes that need no person."""

    kind = "payload-fixed.v1"
    payload: ComposedObject
    payload_sha256: str
    diff: tuple[Change, ...]


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


class _Controlled(Event):
    reason: str | None = None


class RunPaused(_Controlled):
    kind = "run-paused.v1"


class RunResumed(_Controlled):
    """The run goes on. A checkpoint that was open gets back the time that the pause took: it ends at `expires_at`."""

    kind = "run-resumed.v1"
    expires_at: Timestamp | None = None


class RunRetried(_Controlled):
    """A person asked to try again, after a failure or at the error review `checkpoint_id`."""

    kind = "run-retried.v1"
    checkpoint_id: UUID | None = None


class RunError(Message):
    """Why a run failed, or was rejected."""

    code: str
    message: str
    step: Step | None = None
    issues: tuple[Issue, ...] = ()
    attempts: int | None = None
    received: Received | None = Field(None, exclude_if=not_, description="What came of the call that failed, if any.")


class RunCancelled(_Controlled):
    """The run ended without a result. `error` says where a person rejected what was asked; such a run can be retried."""

    kind = "run-cancelled.v1"
    error: RunError | None = Field(None, exclude_if=not_)


class RunFailed(Event):
    kind = "run-failed.v1"
    error: RunError


class RunCompleted(Event):
    kind = "run-completed.v1"
    result: ComposedObject


class UnknownEvent(Event):
    """An event of a kind that this reader does not know yet; its facts are kept as they came."""

    kind = "unknown"
    facts: ComposedObject

    @model_serializer
    def _as_they_came(self) -> ComposedObject:
        return self.facts


def _kinds(root: type[Event]) -> dict[str, type[Event]]:
    found = {} if "kind" not in vars(root) else {root.kind: root}
    for child in root.__subclasses__():
        found |= _kinds(child)
    return found


EVENT_KINDS = {kind: event for kind, event in _kinds(Event).items() if event is not UnknownEvent}
"""Every kind of event, by its stable name."""
