"""An event as far as most readers need it: where it belongs, and what it does to the run's state and checkpoint.

Reading and folding every event in full is most of what a reader costs. What the kinds mean is the views' to say: these tables
only say it again without a view, and a test holds them to `project`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from contracts.message import Message, Timestamp
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.views import State

OPENED = e.CheckpointOpened.kind
ESCALATED = e.CheckpointEscalated.kind

STATES = {
    e.PreparationOrdered.kind: State.CREATED,
    e.RunRetried.kind: State.CREATED,
    e.CallOrdered.kind: State.API_CALL,
    e.RunCompleted.kind: State.COMPLETED,
    e.RunFailed.kind: State.FAILED,
    e.RunCancelled.kind: State.CANCELLED,
}
"""Events that decide the state alone. A checkpoint that opens does too, unless it is an error review's; no other does."""

DECIDED = {
    e.CheckpointApproved.kind: "approve",
    e.CheckpointEdited.kind: "edit",
    e.CheckpointRejected.kind: "reject",
}
"""Decisions on a checkpoint, and the action that each records. A retry at an error review is one too."""

CLOSING = frozenset(DECIDED) | {
    event.kind
    for event in (
        e.PreparationOrdered,
        e.CallOrdered,
        e.CheckpointExpired,
        e.RunRetried,
        e.RunFailed,
        e.RunCancelled,
    )
}
"""Events after which no checkpoint is open."""

_NEEDED = {
    OPENED: ("checkpoint_id", "step", "subject_sha256", "expires_at"),
    ESCALATED: ("checkpoint_id", "step", "expires_at"),
    **dict.fromkeys(DECIDED, ("checkpoint_id", "step", "subject_sha256")),
}


def _if_sound(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    # A kind that is not known yet may mean something else by the name.
    try:
        return handler(value)
    except ValidationError:
        return None


_IfSound = WrapValidator(_if_sound)


class Facts(Message):
    """What an event says of a checkpoint, if it says anything."""

    checkpoint_id: Annotated[UUID | None, _IfSound] = None
    step: Annotated[Step | None, _IfSound] = None
    subject_sha256: Annotated[str | None, _IfSound] = None
    expires_at: Annotated[Timestamp | None, _IfSound] = None


class Heading(Message):
    """A record of `run.events`, without most of its facts."""

    kind: str
    run_id: UUID
    version: Annotated[int, Field(ge=1)]
    at: Timestamp
    tenant: str
    user_id: str | None
    session_id: str | None
    actor: str
    data: Facts

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read one record. Raises ValueError."""
        heading = cls.model_validate_json(value)
        for name in _NEEDED.get(heading.kind, ()):
            if getattr(heading.data, name) is None:
                raise ValueError(f"/data/{name}: {heading.kind} has none that can be read")
        return heading

    def state_after(self, before: State) -> State:
        """Return the run's state after the event."""
        if self.kind == OPENED:
            return before if self.data.step in (None, Step.ERROR_REVIEW) else State(self.data.step.value)
        return STATES.get(self.kind, before)
