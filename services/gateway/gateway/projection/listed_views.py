"""A cache of the views that lists showed, as JSON: many people look at the top of the same list. An LRU map, no I/O."""

from __future__ import annotations

from uuid import UUID

from cachetools import LRUCache

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of the views that are kept."""

MOST_OF_ONE = 64 * 1024
"""Bytes of a view that is kept: larger ones would take the place of many."""


class ListedViews:
    """Views by run, each at one version. What a run was at a version never changes, so a view that is found is right."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._views: LRUCache[UUID, tuple[int, bytes]] = LRUCache(most, lambda kept: len(kept[1]))

    def get(self, run_id: UUID, version: int) -> bytes | None:
        """Return the view of a run at a version, if it is kept."""
        kept = self._views.get(run_id)
        return kept[1] if kept is not None and kept[0] == version else None

    def keep(self, run_id: UUID, version: int, view: bytes) -> None:
        """Keep a view in place of the run's former one, unless it is too large."""
        if len(view) <= min(MOST_OF_ONE, self._views.maxsize):
            self._views[run_id] = version, view
