"""How a history is broken: an event is lost, doubled, earlier, elsewhere, or another person's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from contracts.identity import Principal
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from testkit.runs.people import BO

History = Sequence[RunEvent]
Breach = Callable[[History], History]


def without(kind: type[e.Event], which: int = 0) -> Breach:
    """Lose one of the events of a kind."""

    def breach(history: History) -> History:
        lost = found(history, kind)[which]
        return [record for record in history if record is not lost]

    return breach


def doubled(kind: type[e.Event], which: int = 0) -> Breach:
    """Have one of the events of a kind twice."""

    def breach(history: History) -> History:
        twice = found(history, kind)[which]
        return [copy for record in history for copy in ([record, record] if record is twice else [record])]

    return breach


def earlier(kind: type[e.Event], seconds: float, which: int = 0) -> Breach:
    """Let one of the events of a kind come earlier than it did."""

    def breach(history: History) -> History:
        moved = found(history, kind)[which]
        changed = moved.model_copy(update={"at": moved.at - timedelta(seconds=seconds)})
        return [changed if record is moved else record for record in history]

    return breach


def by_another(kind: type[e.Event], which: int = 0, who: Principal = BO) -> Breach:
    """Let another person do it."""

    def breach(history: History) -> History:
        done = found(history, kind)[which]
        changed = done.model_copy(update={"actor": who.subject, "principal": who})
        return [changed if record is done else record for record in history]

    return breach


def before(kind: type[e.Event], other: type[e.Event]) -> Breach:
    """Have the first event of a kind before the first of another, which it follows."""

    def breach(history: History) -> History:
        moved, place = found(history, kind)[0], found(history, other)[0]
        return [
            one
            for record in history
            if record is not moved
            for one in ([moved, record] if record is place else [record])
        ]

    return breach


def cut_off(kind: type[e.Event]) -> Breach:
    """End the history with the first event of a kind."""
    return lambda history: history[: history.index(found(history, kind)[0]) + 1]


def found(history: History, kind: type[e.Event]) -> list[RunEvent]:
    """Return the records of a kind of event."""
    return [record for record in history if isinstance(record.data, kind)]
