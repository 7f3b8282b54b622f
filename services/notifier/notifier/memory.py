"""What the feed remembers of runs, so that it can say the state after each event: plain data, bounded, no I/O.

The fold is the contracts' own; nothing here decides what an event means.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from contracts.runs.events import RunEvent
from contracts.runs.views import RunView, State, project


@dataclass(frozen=True, slots=True)
class Known:
    """A run as far as it was heard of. Without `view` only its version is known; `size` is what the view may weigh."""

    version: int
    view: RunView | None
    size: int


class Memory:
    """Remembers the `count` runs heard of last, in about `size` bytes."""

    def __init__(self, count: int = 10_000, size: int = 64 * 1024 * 1024) -> None:
        self._runs: OrderedDict[UUID, Known] = OrderedDict()
        self._count = count
        self._most = size
        self._size = 0

    def has_seen(self, record: RunEvent) -> bool:
        """Say whether this event was learnt before; one that is long past may be called new."""
        known = self._runs.get(record.run_id)
        return known is not None and record.version <= known.version

    def before(self, record: RunEvent) -> RunView | None:
        """Return the view that `record` follows, if it is remembered without a gap."""
        known = self._runs.get(record.run_id)
        return known.view if known is not None and known.version == record.version - 1 else None

    def learn(self, record: RunEvent, view: RunView | None, size: int) -> None:
        """Remember that `record`, of `size` bytes, came and led to `view`; None where that cannot be told."""
        before = self._runs.pop(record.run_id, None)
        self._size -= before.size if before else 0
        # A view holds no more than a few of its records at once: the largest stands for its weight.
        weight = max(size, before.size if before else 0) if view is not None else 0
        self._runs[record.run_id] = Known(record.version, view, weight)
        self._size += weight
        while len(self._runs) > self._count or self._size > self._most:
            self._size -= self._runs.popitem(last=False)[1].size


def after_anything(record: RunEvent) -> RunView | None:
    """Return the view after an event of an unknown run; None where its state depends on what was before."""
    unknown = project(None, record)
    one, other = (
        project(unknown.model_copy(update={"state": state}), record) for state in (State.CREATED, State.RESPONSE_REVIEW)
    )
    return one if one.state is other.state else None


def fold(history: Iterable[RunEvent], until: int) -> RunView | None:
    """Return the view that the event of version `until` follows; None unless `history` reaches up to it."""
    view: RunView | None = None
    for record in history:
        if record.version < until:
            view = project(view, record)
    return view if view is not None and view.version == until - 1 else None
