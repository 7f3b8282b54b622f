"""What each kind of event means to a run: the one table from which every short fold is made.

It says the state that an event leads to and what becomes of the checkpoint. What else an event changes stands in the folds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

from contracts.runs import events as e
from contracts.runs.config import Step


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


class Effect(NamedTuple):
    """What a kind of event does to a run.

    `state` is the state that it leads to, None where it leaves the state; a checkpoint that opens has its own (see `state_at`).
    `prolongs`: the open checkpoint gets another end, if the event names one. `action` is the decision that it records.
    """

    state: State | None = None
    opens: bool = False
    closes: bool = False
    prolongs: bool = False
    paused: bool | None = None
    action: Action | None = None


NO_EFFECT = Effect()
"""Of kinds that change neither state nor checkpoint, and of kinds that this version does not know."""

EFFECTS: dict[str, Effect] = {
    e.RunStarted.kind: Effect(State.CREATED),
    e.PreparationOrdered.kind: Effect(State.CREATED, closes=True),
    e.RunPrepared.kind: NO_EFFECT,
    e.PreparationFailed.kind: NO_EFFECT,
    e.PayloadFixed.kind: NO_EFFECT,
    e.RouteFellBack.kind: NO_EFFECT,
    e.CallOrdered.kind: Effect(State.API_CALL, closes=True),
    e.LeaseExtended.kind: NO_EFFECT,
    e.CallDoubted.kind: NO_EFFECT,
    e.CallNoted.kind: NO_EFFECT,
    e.CallSucceeded.kind: NO_EFFECT,
    e.CallFailed.kind: NO_EFFECT,
    e.CallStopped.kind: NO_EFFECT,
    e.RetryScheduled.kind: NO_EFFECT,
    e.StepPassed.kind: NO_EFFECT,
    e.CheckpointOpened.kind: Effect(opens=True),
    e.CheckpointApproved.kind: Effect(closes=True, action="approve"),
    e.CheckpointEdited.kind: Effect(closes=True, action="edit"),
    e.CheckpointRejected.kind: Effect(closes=True, action="reject"),
    e.CheckpointExpired.kind: Effect(closes=True),
    e.CheckpointEscalated.kind: Effect(prolongs=True),
    e.RunPaused.kind: Effect(paused=True),
    e.RunResumed.kind: Effect(paused=False, prolongs=True),
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


REQUESTING = frozenset({e.CheckpointOpened.kind, e.CheckpointEscalated.kind})
"""Kinds after which people are asked to decide."""
