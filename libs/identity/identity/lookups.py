"""Answers of the database that are believed for a moment, each asked for once by all that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from cachetools import TTLCache

CACHE_SECONDS = 2.0
"""For so long an answer is believed to be as it was read. A revocation is in force everywhere within 5 s."""

MOST_KNOWN = 10_000
MOST_UNKNOWN = 10_000
"""In a map of their own, so that a flood of wrong credentials displaces no right one."""

_Found = TypeVar("_Found")


class Lookups(Generic[_Found]):
    """Finds credentials by their hash. `find` asks the database; `clock` counts seconds and never goes back."""

    def __init__(self, find: Callable[[str], Awaitable[_Found | None]], clock: Callable[[], float]) -> None:
        self._find = find
        # Lookups from their begin on, so that those of one hash share one query, and its age counts from when it was asked.
        self._lookups: TTLCache[str, asyncio.Future[_Found | None]] = TTLCache(MOST_KNOWN, CACHE_SECONDS, clock)
        self.unknown: TTLCache[str, None] = TTLCache(MOST_UNKNOWN, CACHE_SECONDS, clock)

    async def find(self, sha256: str) -> _Found | None:
        """Return what is known of a hash, CACHE_SECONDS old at most, or None. Raises what the database raises."""
        if sha256 in self.unknown:
            return None
        lookup = self._lookups.get(sha256)
        if lookup is None:
            lookup = self._lookups[sha256] = asyncio.ensure_future(self._find(sha256))
            lookup.add_done_callback(partial(self._settle, sha256))
        # Shielded: a caller that leaves takes the answer from no other.
        return await asyncio.shield(lookup)

    def forget(self, sha256: str) -> None:
        """Ask the database the next time."""
        self._lookups.pop(sha256, None)

    def _settle(self, sha256: str, lookup: asyncio.Future[_Found | None]) -> None:
        """Keep an answer, and no failure."""
        is_answered = not lookup.cancelled() and lookup.exception() is None
        if is_answered and lookup.result() is not None:
            return
        if self._lookups.get(sha256) is lookup:
            self._lookups.pop(sha256, None)
        if is_answered:
            self.unknown[sha256] = None
