"""The root of all events of a run, and what several kinds of them say."""

from __future__ import annotations

from operator import not_
from typing import Any, ClassVar

from pydantic import Field, model_serializer

from contracts.json_values import ComposedObject
from contracts.message import Message
from contracts.providers.call import Issue, Received
from contracts.runs.config import Step


class Event(Message):
    """The facts of one event, without its place in the run (see `run_event`)."""

    kind: ClassVar[str]


class Change(Message):
    """One member that differs between two JSON values. `before` or `after` is absent where the member was."""

    path: str
    before: Any = None
    after: Any = None


class RunError(Message):
    """Why a run failed, or was rejected."""

    code: str
    message: str
    step: Step | None = None
    issues: tuple[Issue, ...] = ()
    attempts: int | None = None
    received: Received | None = Field(None, exclude_if=not_, description="What came of the call that failed, if any.")


class UnknownEvent(Event):
    """An event of a kind that this reader does not know yet; its facts are kept as they came."""

    kind = "unknown"
    facts: ComposedObject

    @model_serializer
    def _as_they_came(self) -> ComposedObject:
        return self.facts
