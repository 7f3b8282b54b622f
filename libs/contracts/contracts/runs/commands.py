"""The commands of a run. A command carries its own id, time and actor, so that deciding needs no clock and no randomness."""

from __future__ import annotations

from operator import not_
from typing import Annotated, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field, TypeAdapter

from contracts.identity import Principal
from contracts.json_text import check_members
from contracts.json_values import JsonObject
from contracts.message import ID_NAMESPACE, Message, Sha256, StoredIdentifier, Text, Timestamp
from contracts.notices import Parent
from contracts.providers.call import Checked, Ending, Execution, Failure, Preparation, Spent
from contracts.runs.requests import RunRequest

_NAMESPACE = uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:command")

SYSTEM = "system"
"""The actor of a command that no person gave."""


def command_id(*names: object) -> UUID:
    """Derive a command's id from its subject, so that the same command again has the same id."""
    return uuid5(_NAMESPACE, "\x1f".join(map(str, names)))


class Command(Message):
    """The members of every command.

    `request_sha256` is the digest of an idempotent request's body; `expected_version` comes from `If-Match`;
    `reply_to` is the partition of `run.outcomes` on which the asker waits.
    """

    command_id: UUID
    run_id: UUID
    tenant: StoredIdentifier = "default"
    at: Timestamp
    actor: StoredIdentifier = SYSTEM
    request_sha256: Sha256 | None = None
    expected_version: int | None = None
    reply_to: Annotated[int, Field(ge=0)] | None = None


class Asked(Command):
    """A command of a person or of a service that acts for one. `principal` is who asks, as the door resolved it: none while authentication is off."""

    principal: Principal | None = Field(None, exclude_if=not_)


class StartRun(Asked):
    """Start a run. `parent` is the aggregate that starts it as a child and is told of its end."""

    kind: Literal["start-run.v1"] = "start-run.v1"
    request: RunRequest
    parent: Parent | None = Field(None, exclude_if=not_)


class _Decide(Asked):
    checkpoint_id: UUID | None = None
    subject_sha256: Sha256 | None = None
    comment: Text | None = None
    message: Text | None = None


class ApproveCheckpoint(_Decide):
    kind: Literal["approve-checkpoint.v1"] = "approve-checkpoint.v1"


class EditCheckpoint(_Decide):
    kind: Literal["edit-checkpoint.v1"] = "edit-checkpoint.v1"
    edits: JsonObject


class RejectCheckpoint(_Decide):
    kind: Literal["reject-checkpoint.v1"] = "reject-checkpoint.v1"
    reason: Text | None = None
    reason_code: StoredIdentifier | None = Field(None, exclude_if=not_)


class _Control(Asked):
    reason: Text | None = None


class PauseRun(_Control):
    kind: Literal["pause-run.v1"] = "pause-run.v1"


class ResumeRun(_Control):
    kind: Literal["resume-run.v1"] = "resume-run.v1"


class CancelRun(_Control):
    kind: Literal["cancel-run.v1"] = "cancel-run.v1"


class RetryRun(_Control):
    kind: Literal["retry-run.v1"] = "retry-run.v1"


class _AboutWork(Command):
    work_id: str
    attempt: Annotated[int, Field(ge=1)]


class RecordPreparation(_AboutWork):
    """A payload is prepared. `in_one`: its worker has claimed the call, and makes it under the same order as soon as this is written."""

    kind: Literal["record-preparation.v1"] = "record-preparation.v1"
    preparation: Preparation
    in_one: bool = Field(default=False, exclude_if=not_)


class RecordCheck(_AboutWork):
    kind: Literal["record-check.v1"] = "record-check.v1"
    checked: Checked


class RecordExecution(_AboutWork):
    kind: Literal["record-execution.v1"] = "record-execution.v1"
    execution: Execution


class RecordFailure(_AboutWork):
    kind: Literal["record-failure.v1"] = "record-failure.v1"
    failure: Failure


class ExtendLease(_AboutWork):
    """The worker is alive and still at work: the lease runs anew from `at`. `waits_for` is what the order waits for before it begins."""

    kind: Literal["extend-lease.v1"] = "extend-lease.v1"
    waits_for: StoredIdentifier | None = Field(None, exclude_if=not_)


class NoteCall(_AboutWork):
    """The provider accepted the call, and can be asked about it by this id: the next attempt asks, and makes no other call."""

    kind: Literal["note-call.v1"] = "note-call.v1"
    provider_call_id: StoredIdentifier


class RecordStop(_AboutWork):
    """A call has ended that was to be stopped, or was given back before it began.

    `retry_in` is for how many seconds the worker that gave it back has no room for it: it is ordered again then.
    """

    kind: Literal["record-stop.v1"] = "record-stop.v1"
    ending: Ending
    spent: Spent = Spent()
    provider_request_id: str | None = None
    retry_in: float | None = Field(None, gt=0, le=3600, exclude_if=not_)


class ExpireLease(_AboutWork):
    kind: Literal["expire-lease.v1"] = "expire-lease.v1"


class RetryWork(_AboutWork):
    """The back-off is over: make this attempt."""

    kind: Literal["retry-work.v1"] = "retry-work.v1"


class ExpireCheckpoint(Command):
    kind: Literal["expire-checkpoint.v1"] = "expire-checkpoint.v1"
    checkpoint_id: UUID
    escalations: int = 0


Decide = ApproveCheckpoint | EditCheckpoint | RejectCheckpoint
Control = PauseRun | ResumeRun | CancelRun | RetryRun
FromWorker = RecordPreparation | RecordCheck | RecordExecution | RecordFailure | ExtendLease | NoteCall | RecordStop
FromClock = ExpireLease | RetryWork | ExpireCheckpoint
AnyCommand = StartRun | Decide | Control | FromWorker | FromClock

_COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="kind")])


def parse_command(body: bytes) -> AnyCommand:
    """Read one record of `run.commands`. Raises pydantic.ValidationError, and JsonRefused for two members of one name: ValueErrors both."""
    command = _COMMAND.validate_json(body, strict=True)
    check_members(body)
    return command
