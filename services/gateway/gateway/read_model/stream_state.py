"""How far a stream of a run's events has come: whether more may follow. Reads no clock but the one that it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.runs.events import (
    CallDoubted,
    CallFailed,
    CallOrdered,
    CallStopped,
    CallSucceeded,
    RunCancelled,
    RunCompleted,
    RunRetried,
)
from gateway.ports import StepEvent

LINGER_SECONDS = 30.0
"""How long a stream stays open after a run was cancelled during a call: the event with the call's cost is still to come."""

_LAST_KINDS = (RunCompleted.kind, RunCancelled.kind)
_CALL_BEGINS = (CallOrdered.kind, CallDoubted.kind)
_CALL_ENDS = (CallSucceeded.kind, CallFailed.kind, CallStopped.kind)


@dataclass(slots=True)
class StreamState:
    """The state of a run as far as a stream has sent it: whether it is over, and whether a call was running then.

    `is_sure` is False where the events alone do not tell: a rejected run is cancelled, and can still be retried.
    """

    clock: Callable[[], float]
    is_sure: bool = False
    is_empty: bool = True
    is_calling: bool = False
    _is_over: bool = False
    _linger_until: float = 0.0

    def sent(self, events: Sequence[StepEvent]) -> None:
        """Learn from events that were sent."""
        self.is_empty = False
        for event in events:
            self.is_calling = event.kind in _CALL_BEGINS or (self.is_calling and event.kind not in _CALL_ENDS)
            if event.kind in _LAST_KINDS:
                self.is_sure = False
            elif event.kind == RunRetried.kind:
                self.is_sure, self._is_over = True, False

    def settle(self, *, is_over: bool) -> None:
        """Learn from the run's view whether it is over."""
        self.is_sure, self._is_over, self._linger_until = True, is_over, self.clock() + LINGER_SECONDS

    @property
    def is_complete(self) -> bool:
        """Whether no further event is expected."""
        return self._is_over and not (self.is_calling and self.clock() < self._linger_until)
