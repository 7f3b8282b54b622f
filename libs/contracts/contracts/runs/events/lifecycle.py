"""Events of a run as a whole: its start, what steers it, its end."""

from __future__ import annotations

from operator import not_
from uuid import UUID

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Timestamp
from contracts.notices import Parent
from contracts.runs.events.base import Event, RunError
from contracts.runs.requests import RunRequest


class RunStarted(Event):
    """A run was asked for, and with it its first preparation. `in_one`: its worker makes the call too, if nothing is in question."""

    kind = "run-started.v1"
    request: RunRequest
    work_id: str
    lease_until: Timestamp
    parent: Parent | None = Field(None, exclude_if=not_)
    in_one: bool = Field(default=False, exclude_if=not_)


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
