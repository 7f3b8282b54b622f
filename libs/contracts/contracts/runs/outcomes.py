"""The outcome of a command: accepted with the run's view, or refused with the reason."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from contracts.json_values import ComposedObject
from contracts.message import Message
from contracts.runs.views import RunView


class Accepted(Message):
    """The command took effect, now or when it was first delivered."""

    kind: Literal["accepted.v1"] = "accepted.v1"
    command_id: UUID
    run_id: UUID
    view: RunView


class Refused(Message):
    """The command took no effect and never will. `code` is one of the error codes of the API."""

    kind: Literal["refused.v1"] = "refused.v1"
    command_id: UUID
    run_id: UUID
    code: str
    message: str
    details: ComposedObject = Field(default_factory=dict)


Outcome = Accepted | Refused

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="kind")])


def parse_outcome(body: bytes) -> Outcome:
    """Read one record of `run.outcomes`. Raises pydantic.ValidationError."""
    return _OUTCOME.validate_json(body)
