"""What people ask of a run: to start it, to decide at a checkpoint, to steer it."""

from __future__ import annotations

from operator import not_
from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.json_values import JsonObject
from contracts.message import Sha256, StoredIdentifier, Text
from contracts.notices import Parent
from contracts.runs.commands.base import Asked
from contracts.runs.requests import RunRequest


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
    """Try again. At an error review it is a decision, which can name what was seen."""

    kind: Literal["retry-run.v1"] = "retry-run.v1"
    checkpoint_id: UUID | None = Field(None, exclude_if=not_)
    subject_sha256: Sha256 | None = Field(None, exclude_if=not_)
