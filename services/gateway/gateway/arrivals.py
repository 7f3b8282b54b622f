"""Who waits for a run to move on, woken by the projection of this process. Another gateway's projection wakes nobody here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from uuid import UUID


class Arrival:
    """One waiter's bell."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, now or when it begins to wait."""
        self._rung.set()

    async def within(self, seconds: float) -> None:
        """Return when the run has moved since the last call, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


class Arrivals:
    """Bells by run."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[Arrival]] = {}

    @contextlib.contextmanager
    def of(self, run_id: UUID) -> Iterator[Arrival]:
        """Listen for a run. Begin before looking where it stands, so that no move is missed in between."""
        arrival = Arrival()
        self._waiting.setdefault(run_id, set()).add(arrival)
        try:
            yield arrival
        finally:
            waiting = self._waiting[run_id]
            waiting.discard(arrival)
            if not waiting:
                del self._waiting[run_id]

    def moved(self, run_ids: Iterable[UUID]) -> None:
        """Wake who waits for any of these runs."""
        for run_id in run_ids:
            for arrival in self._waiting.get(run_id, ()):
                arrival.ring()

    def wake_all(self) -> None:
        """Wake everybody."""
        self.moved(tuple(self._waiting))
