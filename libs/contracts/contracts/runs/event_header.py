"""The header of an event: its place in the run, whom it concerns and what it does to state and checkpoint.

Most readers need no more, and validating an event in full is most of what a reader costs. So the header leaves ids and times
as the text that was recorded, and reads of the facts in `data` what concerns the checkpoint.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from contracts.message import Message, Timestamp
from contracts.runs.config import Step
from contracts.runs.event_effects import EFFECTS, NO_EFFECT, Effect, State, state_at
from contracts.runs.events import EVENT_KINDS

RunId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A run's id as it is recorded."""

RecordedTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]
"""A time as it is recorded (RFC 3339)."""

_Before = TypeVar("_Before", bound=State | None)


_AsItCame = Field(union_mode="left_to_right")
# A kind that this version does not know may mean something else by our names: what is no such value is kept as it came.


class Facts(TypedDict, total=False):
    """What an event says of a checkpoint."""

    checkpoint_id: Annotated[UUID | Any, _AsItCame]
    step: Annotated[Step | Any, _AsItCame]
    subject_sha256: Any
    expires_at: Annotated[Timestamp | Any, _AsItCame]


_TYPES: dict[str, type] = {"checkpoint_id": UUID, "step": Step, "subject_sha256": str, "expires_at": datetime}


def _needed_facts(kind: str) -> tuple[tuple[str, type], ...]:
    members = EVENT_KINDS[kind].model_fields
    return tuple((name, form) for name, form in _TYPES.items() if name in members and members[name].is_required())


_NEEDED = {
    kind: _needed_facts(kind)
    for kind, effect in EFFECTS.items()
    if effect.opens or effect.prolongs or effect.action is not None
}
"""The facts without which an event of the kind cannot be read. No fact is read of kinds that are missing."""


class EventHeader(Message):
    """A record of `run.events`. `run_id` and `at` are the recorded text, which is passed on as it is."""

    kind: str
    run_id: RunId
    version: Annotated[int, Field(ge=1)]
    at: RecordedTime
    tenant: str
    user_id: str | None
    session_id: str | None
    actor: str
    data: Facts

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read one record; its facts may be none. Raises ValueError."""
        return cls.model_validate_json(value)

    @classmethod
    def parse_with_facts(cls, value: bytes) -> Self:
        """Read one record. Raises ValueError, also for a fact that its kind needs and that cannot be read."""
        header = cls.model_validate_json(value)
        for name, form in _NEEDED.get(header.kind, ()):
            if not isinstance(header.data.get(name), form):
                raise ValueError(f"/data/{name}: {header.kind} has none that can be read")  # noqa: TRY004 - a malformed record
        return header

    @property
    def effect(self) -> Effect:
        """What the event does to the run."""
        return EFFECTS.get(self.kind, NO_EFFECT)

    @property
    def run_uuid(self) -> UUID:
        """The run's id as a number."""
        return _uuid(self.run_id)

    @property
    def moment(self) -> datetime:
        """The time of the event."""
        return datetime.fromisoformat(self.at)

    def state_after(self, before: _Before) -> State | _Before:
        """Return the state after the event. `before` may be None, unknown; the answer is None where it depends on it.

        Raises ValueError when a checkpoint opens at a step that there is not.
        """
        effect = EFFECTS.get(self.kind, NO_EFFECT)
        if effect.opens:
            return state_at(Step(self.data.get("step", ""))) or before
        return effect.state or before


@lru_cache(maxsize=4096)
def _uuid(run_id: str) -> UUID:
    # The events of a run arrive together, and the library's parser is written in Python.
    return UUID(run_id)
