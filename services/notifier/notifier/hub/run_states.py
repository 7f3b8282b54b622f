"""What the feed remembers of runs, so that it can say the state after each event: plain data, bounded, no I/O.

Of an open checkpoint it keeps the records that say how it stands, not the view that they make: few are ever asked for again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from contracts.runs.event_header import CLOSING, OPENED
from contracts.runs.run_event import RunEvent
from contracts.runs.views import Checkpoint, RunView, State, project
from notifier.hub.event_header import Heard, read_checkpoint


class Known(NamedTuple):
    """A run as far as it was heard of. Without `state` only its version is known.

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
    """Remembers the `count` runs heard of last, in about `size` bytes."""

    def __init__(self, count: int = 10_000, size: int = 16 * 1024 * 1024) -> None:
        self._runs: OrderedDict[str, Known] = OrderedDict()
        self._count = count
        self._most = size
        self._size = 0

    def has_seen(self, heard: Heard) -> bool:
        """Say whether this event was learnt before; one that is long past may be called new."""
        known = self._runs.get(heard.run_id)
        return known is not None and heard.version <= known.version

    def before(self, heard: Heard) -> Known | None:
        """Return what `heard` follows, if it is remembered without a gap."""
        known = self._runs.get(heard.run_id)
        return known if known is not None and known.version == heard.version - 1 else None

    def learn(self, run_id: str, known: Known) -> None:
        """Remember how a run stands now."""
        before = self._runs.pop(run_id, None)
        self._size += known.size - (before.size if before else 0)
        self._runs[run_id] = known
        while len(self._runs) > self._count or self._size > self._most:
            self._size -= self._runs.popitem(last=False)[1].size


def after(before: Known | None, heard: Heard, value: bytes) -> Known:
    """Return what is known after `heard`, which came as `value`; `before` is None where that is not known.

    Raises ValueError when it opens a checkpoint of a step that there is not.
    """
    state = heard.state_after(before.state if before else None)
    if heard.kind == OPENED:
        return Known(heard.version, state, (value,))
    if before is None or not before.open or heard.kind in CLOSING:
        return Known(heard.version, state)
    return Known(heard.version, state, (*before.open, value))


def open_checkpoint(known: Known) -> Checkpoint | None:
    """Return the checkpoint that a run waits at, as its view shows it. Raises pydantic.ValidationError."""
    if len(known.open) == 1:
        return read_checkpoint(known.open[0])
    view: RunView | None = None
    for value in known.open:
        view = project(view, RunEvent.parse(value))
    return view.checkpoint if view else None


def fold(history: Iterable[bytes], until: int) -> Known | None:
    """Return what the event of version `until` follows; None unless `history` reaches up to it. Raises ValueError."""
    known: Known | None = None
    for value in history:
        heard = Heard.model_validate_json(value)
        if heard.version < until:
            known = after(known, heard, value)
    return known if known is not None and known.version == until - 1 else None
