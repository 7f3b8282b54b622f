"""An event as far as it is read here: whom it is about, and what it does to the state. Its facts go out as they came.

Even less than a `Heading`: here a run is often not known, and then neither is its state.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from contracts.json_values import ComposedObject
from contracts.message import Message, Timestamp
from contracts.providers.call import Issue
from contracts.runs.config import Step
from contracts.runs.event_header import OPENED, STATES
from contracts.runs.views import Checkpoint, State

RunId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A run's id as it is recorded. As text it is told again, and looked up, at a third of what a `UUID` costs."""

_Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]
"""A time as it was recorded (RFC 3339): it is told again and not looked at."""


class Facts(Message):
    """The facts of an event: any object."""

    step: Any = None


class Heard(Message):
    """A record of `run.events`."""

    kind: str
    run_id: RunId
    version: int
    at: _Time
    tenant: str
    user_id: str | None
    session_id: str | None
    data: Facts

    def state_after(self, before: State | None) -> State | None:
        """Return the run's state after the event; `before`, and with it the answer, is None where it is not known."""
        if self.kind == OPENED and self.data.step != Step.ERROR_REVIEW:
            return State(self.data.step)
        return STATES.get(self.kind, State.CREATED if self.version == 1 else before)


class _Opening(Checkpoint):
    subject_schema: ComposedObject = Field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    opened_at: Timestamp | None = None  # type: ignore[assignment] # the record says it, not its facts


class _Opened(Message):
    at: Timestamp
    data: _Opening


def read_checkpoint(value: bytes) -> Checkpoint:
    """Read the checkpoint that a record opens, as the run's view shows it then. Raises pydantic.ValidationError."""
    opened = _Opened.model_validate_json(value)
    return opened.data.changed({"opened_at": opened.at})
