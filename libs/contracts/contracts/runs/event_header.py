"""What an event means to most readers: its effect on state and checkpoint by one table, and the header that is read of it.

Every short fold is made from the table `EFFECTS`. Validating an event in full is most of what a reader costs, so the header leaves
ids and times as the text that was recorded, and reads of the facts in `data` what concerns the checkpoint. Events of a task are read
in full where facts are asked for: they are rare, and the task is folded from them by the same function as in the view.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar
from uuid import UUID

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from contracts.identity import Principal
from contracts.message import Message, Timestamp
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.events import EVENT_KINDS
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.rules import ReviewRules


class State(StrEnum):
    """The stages of a run."""

    CREATED = "created"
    INFORMATION_REVIEW = "information_review"
    PAYLOAD_REVIEW = "payload_review"
    API_CALL = "api_call"
    RESPONSE_REVIEW = "response_review"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

Action = Literal["approve", "edit", "reject", "retry"]
"""What a person decides at a checkpoint."""

Awaited = Literal["preparation", "check", "call", "limit", "retry", "decision"]
"""What a run waits for: an order that a worker carries out, a rate limit, the time of the next attempt, or a person."""


class Effect(NamedTuple):
    """What a kind of event does to a run.

    `state` is the state that it leads to, None where it leaves the state; a checkpoint that opens has its own (see `state_at`).
    `prolongs`: the open checkpoint gets another end, if the event names one. `action` is the decision that it records.
    `awaits` is what the run waits for from then on; `goes_on` leaves that as it was, and every other kind ends it.
    `on_task`: it changes the task at the open checkpoint. `takes_part`: its person voted, edited or commented.
    """

    state: State | None = None
    opens: bool = False
    closes: bool = False
    prolongs: bool = False
    paused: bool | None = None
    action: Action | None = None
    awaits: Awaited | None = None
    goes_on: bool = False
    on_task: bool = False
    takes_part: bool = False


_ON_TASK = Effect(goes_on=True, on_task=True)
_TAKES_PART = Effect(goes_on=True, on_task=True, takes_part=True)

NO_EFFECT = Effect()
"""Of kinds that change neither state nor checkpoint."""

UNKNOWN = Effect(goes_on=True)
"""Of kinds that this version does not know."""

EFFECTS: dict[str, Effect] = {
    e.RunStarted.kind: Effect(State.CREATED, awaits="preparation"),
    e.PreparationOrdered.kind: Effect(State.CREATED, closes=True, awaits="preparation"),
    e.RunPrepared.kind: NO_EFFECT,
    e.CheckOrdered.kind: Effect(State.API_CALL, closes=True, awaits="check"),
    e.SubjectChecked.kind: NO_EFFECT,
    e.CheckFailed.kind: NO_EFFECT,
    e.PreparationFailed.kind: NO_EFFECT,
    e.PayloadFixed.kind: NO_EFFECT,
    e.RouteFellBack.kind: NO_EFFECT,
    e.CallOrdered.kind: Effect(State.API_CALL, closes=True, awaits="call"),
    e.LeaseExtended.kind: Effect(goes_on=True),
    e.CallDoubted.kind: Effect(awaits="call"),
    e.CallNoted.kind: Effect(goes_on=True),
    e.CallSucceeded.kind: NO_EFFECT,
    e.CallFailed.kind: NO_EFFECT,
    e.CallStopped.kind: NO_EFFECT,
    e.RetryScheduled.kind: Effect(awaits="retry"),
    e.StepPassed.kind: NO_EFFECT,
    e.CheckpointOpened.kind: Effect(opens=True, awaits="decision"),
    e.CheckpointApproved.kind: Effect(closes=True, action="approve"),
    e.CheckpointEdited.kind: Effect(closes=True, action="edit"),
    e.CheckpointRejected.kind: Effect(closes=True, action="reject"),
    e.CheckpointExpired.kind: Effect(closes=True),
    e.CheckpointEscalated.kind: Effect(prolongs=True, goes_on=True, on_task=True),
    e.TaskClaimed.kind: _ON_TASK,
    e.ClaimRenewed.kind: _ON_TASK,
    e.ClaimEnding.kind: _ON_TASK,
    e.ClaimEnded.kind: _ON_TASK,
    e.TaskAssigned.kind: _ON_TASK,
    e.TaskDelegated.kind: _ON_TASK,
    e.TaskReturned.kind: _ON_TASK,
    e.TaskEscalated.kind: _ON_TASK,
    e.TaskRescheduled.kind: _ON_TASK,
    e.TaskReminded.kind: _ON_TASK,
    e.VoteCast.kind: _TAKES_PART,
    e.SubjectRevised.kind: _TAKES_PART,
    e.StageApproved.kind: _ON_TASK,
    e.DraftBegun.kind: _ON_TASK,
    e.DraftDropped.kind: _ON_TASK,
    e.CommentAdded.kind: _TAKES_PART,
    e.CommentEdited.kind: _ON_TASK,
    e.CommentDeleted.kind: _ON_TASK,
    e.RunPaused.kind: Effect(paused=True, goes_on=True),
    e.RunResumed.kind: Effect(paused=False, prolongs=True, goes_on=True),
    e.RunRetried.kind: Effect(State.CREATED, closes=True, action="retry"),
    e.RunCancelled.kind: Effect(State.CANCELLED, closes=True, paused=False),
    e.RunFailed.kind: Effect(State.FAILED, closes=True, paused=False),
    e.RunCompleted.kind: Effect(State.COMPLETED),
}
"""The effect of each kind. A retry records a decision only where it names a checkpoint, which is then an error review's."""

_STATES = {step: None if step is Step.ERROR_REVIEW else State(step.value) for step in Step}


def state_at(step: Step) -> State | None:
    """Return the state of a run whose checkpoint opens at `step`; None at an error review, which leaves the state."""
    return _STATES[step]


REQUESTING = frozenset(
    kind.kind
    for kind in (
        e.CheckpointOpened,
        e.CheckpointEscalated,
        e.TaskAssigned,
        e.TaskDelegated,
        e.TaskReturned,
        e.TaskEscalated,
        e.StageApproved,
        e.SubjectRevised,
    )
)
"""Kinds after which people are asked to decide, others than before or on other bytes."""

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
    subject: Any
    subject_sha256: Any
    expires_at: Annotated[Timestamp | Any, _AsItCame]
    rules: Annotated[ReviewRules | Any, _AsItCame]
    revised_by: Any


_TYPES: dict[str, type] = {
    "checkpoint_id": UUID,
    "step": Step,
    "subject": dict,
    "subject_sha256": str,
    "expires_at": datetime,
}


def _needed_facts(kind: str) -> tuple[tuple[str, type], ...]:
    members = EVENT_KINDS[kind].model_fields
    return tuple((name, form) for name, form in _TYPES.items() if name in members and members[name].is_required())


_NEEDED = {
    kind: () if effect.on_task else _needed_facts(kind)
    for kind, effect in EFFECTS.items()
    if effect.opens or effect.prolongs or effect.action is not None or effect.on_task
}
"""The facts without which an event of the kind cannot be read. No fact is read of kinds that are missing; events of a task are read whole."""


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
    principal: Principal | None = None
    data: Facts
    task_event: RunEvent | None = Field(None, description="The event in full, if it is about a task.")

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read one record; its facts may be none. Raises ValueError."""
        return cls.model_validate_json(value)

    @classmethod
    def parse_with_facts(cls, value: bytes) -> Self:
        """Read one record, and all of it if it is about a task. Raises ValueError, also for a fact that its kind needs and that cannot be read."""
        header = cls.model_validate_json(value)
        needed = _NEEDED.get(header.kind)
        if needed is None:
            return header
        for name, form in needed:
            if not isinstance(header.data.get(name), form):
                raise ValueError(f"/data/{name}: {header.kind} has none that can be read")  # noqa: TRY004 - a malformed record
        effect = header.effect
        if effect.on_task:
            return header.changed({"task_event": RunEvent.parse(value)})
        if effect.opens:
            for name, known in (("rules", ReviewRules | None), ("revised_by", str | None)):
                if not isinstance(header.data.get(name), known):
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
