"""Messages about an ordered call: its partial output for watchers, the orders to hold and to stop it, and that a run ended.

None of them is stored.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from contracts.message import Message


class _AboutCall(Message):
    run_id: UUID
    tenant: str
    work_id: str
    attempt: Annotated[int, Field(ge=1)]


class PartialOutput(_AboutCall):
    """A piece of the text that a call has produced so far. `offset` counts the characters before it.

    Pieces may be lost: a reader that sees a gap waits for the answer, which is an event.
    """

    kind: Literal["partial-output.v1"] = "partial-output.v1"
    user_id: str | None = None
    session_id: str | None = None
    offset: Annotated[int, Field(ge=0)]
    text: str

    def to_push(self) -> bytes:
        """Return the message that watchers get."""
        pushed = PushedPartialOutput.model_construct(**self.model_dump(include={*PushedPartialOutput.model_fields}))
        return pushed.model_dump_json().encode()


class PushedPartialOutput(Message):
    """A piece of partial output as watchers get it, over WebSocket and SSE."""

    type: Literal["HITL_PARTIAL_OUTPUT"] = "HITL_PARTIAL_OUTPUT"
    run_id: UUID
    work_id: str
    attempt: int
    offset: int
    text: str


class HoldCall(_AboutCall):
    """The run is paused: a worker that has not begun this call gives its order back, and says so. A call that has begun goes on."""

    kind: Literal["hold-call.v1"] = "hold-call.v1"
    provider: str


class StopCall(_AboutCall):
    """The run is over: the worker that makes this call ends it, and reports its cost.

    `provider_call_id` is the provider's id of it where one was noted; then the provider is asked to stop even if no worker runs it.
    """

    kind: Literal["stop-call.v1"] = "stop-call.v1"
    provider: str
    operation: str
    model: str | None = None
    provider_call_id: str | None = None


class ReleaseBudget(Message):
    """The run ended at `version` without a further call: what budgets hold for its next one is given back.

    A preparation that was ordered before that version, and is still under way, holds nothing either.
    """

    kind: Literal["release-budget.v1"] = "release-budget.v1"
    run_id: UUID
    tenant: str
    version: Annotated[int, Field(ge=1)]


AnyStop = HoldCall | StopCall | ReleaseBudget

_STOP: TypeAdapter[AnyStop] = TypeAdapter(Annotated[AnyStop, Field(discriminator="kind")])


def parse_stop(body: bytes) -> AnyStop:
    """Read one record of `provider.stops`. Raises pydantic.ValidationError."""
    return _STOP.validate_json(body)
