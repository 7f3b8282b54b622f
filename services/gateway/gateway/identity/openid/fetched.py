"""A document of a provider that is fetched when it is first needed, and kept for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

KEPT_SECONDS = 3600.0

AGAIN_SECONDS = 10.0
"""What was just fetched is not fetched again, whatever tokens ask for."""

_Document = TypeVar("_Document")


class Fetched(Generic[_Document]):
    """Fetches a document once for all that wait for it. A failure is not kept. `clock` counts seconds and never goes back."""

    def __init__(self, fetch: Callable[[], Awaitable[_Document]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._at = 0.0
        self._fetching: asyncio.Future[_Document] | None = None

    async def get(self) -> _Document:
        """Return the document, KEPT_SECONDS old at most."""
        return await self._get(KEPT_SECONDS)

    async def renewed(self) -> _Document:
        """Return the document, AGAIN_SECONDS old at most."""
        return await self._get(AGAIN_SECONDS)

    async def _get(self, seconds: float) -> _Document:
        fetching = self._fetching
        if fetching is None or (fetching.done() and self._clock() - self._at >= seconds):
            self._at = self._clock()
            fetching = self._fetching = asyncio.ensure_future(self._fetch())
            fetching.add_done_callback(self._settle)
        # Shielded: a caller that leaves takes the answer from no other.
        return await asyncio.shield(fetching)

    def _settle(self, fetching: asyncio.Future[_Document]) -> None:
        """Keep an answer, and no failure."""
        if (fetching.cancelled() or fetching.exception() is not None) and self._fetching is fetching:
            self._fetching = None
