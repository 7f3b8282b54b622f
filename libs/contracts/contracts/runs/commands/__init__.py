"""The commands of a run. A command carries its own id, time and actor, so that deciding needs no clock and no randomness."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from contracts.json_text import check_members
from contracts.runs.commands.base import SYSTEM, Asked, Command, command_id
from contracts.runs.commands.clock import ExpireCheckpoint, ExpireLease, RetryWork
from contracts.runs.commands.requests import (
    ApproveCheckpoint,
    CancelRun,
    EditCheckpoint,
    PauseRun,
    RejectCheckpoint,
    ResumeRun,
    RetryRun,
    StartRun,
)
from contracts.runs.commands.tasks import (
    AddComment,
    AssignTask,
    ClaimTask,
    DelegateTask,
    DeleteComment,
    DropDraft,
    EditComment,
    EscalateTask,
    KeepDraft,
    OfTask,
    PassTaskTime,
    ReleaseTask,
    RescheduleTask,
    ReturnTask,
)
from contracts.runs.commands.work import (
    ExtendLease,
    NoteCall,
    RecordCheck,
    RecordExecution,
    RecordFailure,
    RecordPreparation,
    RecordStop,
)

Decide = ApproveCheckpoint | EditCheckpoint | RejectCheckpoint
Control = PauseRun | ResumeRun | CancelRun | RetryRun
OnTask = (
    ClaimTask
    | ReleaseTask
    | AssignTask
    | DelegateTask
    | ReturnTask
    | EscalateTask
    | RescheduleTask
    | KeepDraft
    | DropDraft
)
OnComment = AddComment | EditComment | DeleteComment
FromWorker = RecordPreparation | RecordCheck | RecordExecution | RecordFailure | ExtendLease | NoteCall | RecordStop
FromClock = ExpireLease | RetryWork | ExpireCheckpoint | PassTaskTime
AnyCommand = StartRun | Decide | Control | OnTask | OnComment | FromWorker | FromClock

_COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="kind")])


def parse_command(body: bytes) -> AnyCommand:
    """Read one record of `run.commands`. Raises pydantic.ValidationError, and JsonRefused for two members of one name: ValueErrors both."""
    command = _COMMAND.validate_json(body, strict=True)
    check_members(body)
    return command


__all__ = [
    "SYSTEM",
    "AddComment",
    "AnyCommand",
    "ApproveCheckpoint",
    "Asked",
    "AssignTask",
    "CancelRun",
    "ClaimTask",
    "Command",
    "Control",
    "Decide",
    "DelegateTask",
    "DeleteComment",
    "DropDraft",
    "EditCheckpoint",
    "EditComment",
    "EscalateTask",
    "ExpireCheckpoint",
    "ExpireLease",
    "ExtendLease",
    "FromClock",
    "FromWorker",
    "KeepDraft",
    "NoteCall",
    "OfTask",
    "OnComment",
    "OnTask",
    "PassTaskTime",
    "PauseRun",
    "RecordCheck",
    "RecordExecution",
    "RecordFailure",
    "RecordPreparation",
    "RecordStop",
    "RejectCheckpoint",
    "ReleaseTask",
    "RescheduleTask",
    "ResumeRun",
    "RetryRun",
    "RetryWork",
    "ReturnTask",
    "StartRun",
    "command_id",
    "parse_command",
]
