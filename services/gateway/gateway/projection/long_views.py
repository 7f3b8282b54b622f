"""Views of runs with long histories, kept as they were folded last: the next read folds what came since. An LRU map, no I/O.

Short histories are not kept: folding them again costs less than what it would take from the others.
"""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from contracts.runs.views import RunView

LONG = 50
"""Events from which on a view is kept."""

MOST_BYTES = 16 * 1024 * 1024


class LongViews:
    """Views by tenant and run, in about `most` bytes of their histories' facts."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._size = 0
        self._views: OrderedDict[tuple[str, UUID], tuple[RunView, int]] = OrderedDict()

    def get(self, tenant: str, run_id: UUID) -> RunView | None:
        """Return a view that is kept. What came since is the caller's to fold."""
        found = self._views.get((tenant, run_id))
        if found is None:
            return None
        self._views.move_to_end((tenant, run_id))
        return found[0]

    def keep(self, tenant: str, view: RunView, size: int) -> None:
        """Keep a view of `size` bytes if its history is long; drop those that were not asked for longest."""
        if view.version < LONG:
            return
        before = self._views.pop((tenant, view.run_id), None)
        self._size += size - (before[1] if before else 0)
        self._views[tenant, view.run_id] = (view, size)
        while self._size > self._most:
            self._size -= self._views.popitem(last=False)[1][1]
