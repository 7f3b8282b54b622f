"""What workers answer about an attempt of an order."""

from __future__ import annotations

from operator import not_
from typing import Annotated, Literal

from pydantic import Field

from contracts.message import StoredIdentifier
from contracts.providers.call import Checked, Ending, Execution, Failure, Preparation, Spent
from contracts.runs.commands.base import Command


class AboutWork(Command):
    work_id: str
    attempt: Annotated[int, Field(ge=1)]


class RecordPreparation(AboutWork):
    """A payload is prepared. `in_one`: its worker has claimed the call, and makes it under the same order as soon as this is written."""

    kind: Literal["record-preparation.v1"] = "record-preparation.v1"
    preparation: Preparation
    in_one: bool = Field(default=False, exclude_if=not_)


class RecordCheck(AboutWork):
    kind: Literal["record-check.v1"] = "record-check.v1"
    checked: Checked


class RecordExecution(AboutWork):
    kind: Literal["record-execution.v1"] = "record-execution.v1"
    execution: Execution


class RecordFailure(AboutWork):
    kind: Literal["record-failure.v1"] = "record-failure.v1"
    failure: Failure


class ExtendLease(AboutWork):
    """The worker is alive and still at work: the lease runs anew from `at`. `waits_for` is what the order waits for before it begins."""

    kind: Literal["extend-lease.v1"] = "extend-lease.v1"
    waits_for: StoredIdentifier | None = Field(None, exclude_if=not_)


class NoteCall(AboutWork):
    """The provider accepted the call, and can be asked about it by this id: the next attempt asks, and makes no other call."""

    kind: Literal["note-call.v1"] = "note-call.v1"
    provider_call_id: StoredIdentifier


class RecordStop(AboutWork):
    """A call has ended that was to be stopped, or was given back before it began.

    `retry_in` is for how many seconds the worker that gave it back has no room for it: it is ordered again then.
    """

    kind: Literal["record-stop.v1"] = "record-stop.v1"
    ending: Ending
    spent: Spent = Spent()
    provider_request_id: str | None = None
    retry_in: float | None = Field(None, gt=0, le=3600, exclude_if=not_)
