"""Who waits for a run to move on, woken by the projection of this process. Another gateway's projection wakes nobody here."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from gateway.read_model.answer_cache import Recent

MOST_SAID = 100
"""Pieces of partial output that one waiter may leave untaken."""

_ANY = 2**63
"""Beyond every version."""


class Arrival:
    """One waiter's bell."""

    def __init__(self) -> None:
        self._version = 0
        self._said: deque[PartialOutput] = deque(maxlen=MOST_SAID)
        self._rung = asyncio.Event()

    def ring(self, version: int) -> None:
        """Tell the waiter that the run has come to `version`."""
        self._version = max(self._version, version)
        self._rung.set()

    def tell(self, partial: PartialOutput) -> None:
        """Let the waiter have a piece of what a call of the run says. Who does not take them gets the newest."""
        self._said.append(partial)
        self._rung.set()

    def take(self) -> list[PartialOutput]:
        """Take what was said since the last call."""
        said = list(self._said)
        self._said.clear()
        return said

    async def reach(self, version: int, seconds: float, *, listening: bool = False) -> bool:
        """Return when the run was said, since the last call, to have come to `version`, or after `seconds`.

        False when it did neither: something is there to take. That alone ends no wait unless it is `listening`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._version < version:
                    if listening and self._said:
                        return False
                    self._rung.clear()
                    await self._rung.wait()
        self._version = 0
        return True


class Arrivals:
    """Bells by run, and what was answered lately."""

    def __init__(self) -> None:
        self.recent = Recent()
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

    def moved(self, versions: Mapping[UUID, int]) -> None:
        """Wake who waits for any of these runs to come so far."""
        self.recent.moved(versions)
        if self._waiting:
            for run_id, version in versions.items():
                for arrival in self._waiting.get(run_id, ()):
                    arrival.ring(version)

    def is_awaited(self, run_id: UUID) -> bool:
        """Say whether anybody here waits for a run."""
        return run_id in self._waiting

    def said(self, partial: PartialOutput) -> None:
        """Let who waits for its run have a piece of what a call says."""
        for arrival in self._waiting.get(partial.run_id, ()):
            arrival.tell(partial)

    def wake_all(self) -> None:
        """Wake everybody, wherever their runs are."""
        for waiting in self._waiting.values():
            for arrival in waiting:
                arrival.ring(_ANY)
