"""What the feed remembers of runs, so that it can say the state after each event: plain data, bounded, no I/O.

Of an open checkpoint it keeps the records that say how it stands, not the view that they make: few are ever asked for again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Message, Timestamp
from contracts.providers.call import Issue
from contracts.runs.event_effects import State
from contracts.runs.event_header import EventHeader
from contracts.runs.run_event import RunEvent
from contracts.runs.views import Checkpoint, RunView, project


class Known(NamedTuple):
    """A run as far as it was header of. Without `state` only its version is known.

    `open` are the records since its open checkpoint opened, that one first.
    """

    version: int
    state: State | None
    open: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its records."""
        return sum(map(len, self.open)) if self.open else 0


class Memory:
    """Remembers the `count` runs header of last, in about `size` bytes."""

    def __init__(self, count: int = 10_000, size: int = 16 * 1024 * 1024) -> None:
        self._runs: OrderedDict[str, Known] = OrderedDict()
        self._count = count
        self._most = size
        self._size = 0

    def has_seen(self, header: EventHeader) -> bool:
        """Say whether this event was learnt before; one that is long past may be called new."""
        known = self._runs.get(header.run_id)
        return known is not None and header.version <= known.version

    def before(self, header: EventHeader) -> Known | None:
        """Return what `header` follows, if it is remembered without a gap."""
        known = self._runs.get(header.run_id)
        return known if known is not None and known.version == header.version - 1 else None

    def learn(self, run_id: str, known: Known) -> None:
        """Remember how a run stands now."""
        before = self._runs.pop(run_id, None)
        self._size += known.size - (before.size if before else 0)
        self._runs[run_id] = known
        while len(self._runs) > self._count or self._size > self._most:
            self._size -= self._runs.popitem(last=False)[1].size


def after(before: Known | None, header: EventHeader, value: bytes) -> Known:
    """Return what is known after `header`, which came as `value`; `before` is None where that is not known.

    Raises ValueError when it opens a checkpoint of a step that there is not.
    """
    effect = header.effect
    begun = State.CREATED if header.version == 1 else None
    state = header.state_after(before.state if before else begun)
    if effect.opens:
        return Known(header.version, state, (value,))
    if before is None or not before.open or effect.closes:
        return Known(header.version, state)
    return Known(header.version, state, (*before.open, value))


def open_checkpoint(known: Known) -> Checkpoint | None:
    """Return the checkpoint that a run waits at, as its view shows it. Raises pydantic.ValidationError."""
    if len(known.open) == 1:
        return read_checkpoint(known.open[0])
    view: RunView | None = None
    for value in known.open:
        view = project(view, RunEvent.parse(value))
    return view.checkpoint if view else None


class _Opening(Checkpoint):
    subject_schema: ComposedObject = Field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    opened_at: Timestamp | None = None  # type: ignore[assignment] # the record has it, not its facts


class _Opened(Message):
    at: Timestamp
    data: _Opening


def read_checkpoint(value: bytes) -> Checkpoint:
    """Read the checkpoint that a record opens, as the run's view shows it then. Raises pydantic.ValidationError."""
    opened = _Opened.model_validate_json(value)
    return opened.data.changed({"opened_at": opened.at})


def fold(history: Iterable[bytes], until: int) -> Known | None:
    """Return what the event of version `until` follows; None unless `history` reaches up to it. Raises ValueError."""
    known: Known | None = None
    for value in history:
        header = EventHeader.parse(value)
        if header.version < until:
            known = after(known, header, value)
    return known if known is not None and known.version == until - 1 else None
