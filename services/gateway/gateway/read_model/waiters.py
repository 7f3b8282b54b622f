"""Waiters for a run's next version, woken by the projection of this process. Another gateway's projection wakes none of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from gateway.read_model.answer_cache import AnswerCache

MOST_PIECES = 100
"""Pieces of partial output that a waiter keeps; the oldest go first."""

_ANY = 2**63
"""Beyond every version."""


class Waiter:
    """One wait for one run."""

    def __init__(self) -> None:
        self._version = 0
        self._pieces: deque[PartialOutput] = deque(maxlen=MOST_PIECES)
        self._woken = asyncio.Event()

    def wake(self, version: int) -> None:
        """Tell the waiter that the run has reached `version`."""
        self._version = max(self._version, version)
        self._woken.set()

    def hear(self, partial: PartialOutput) -> None:
        """Give the waiter a piece of a call's text."""
        self._pieces.append(partial)
        self._woken.set()

    def take(self) -> list[PartialOutput]:
        """Take the pieces that came since the last call."""
        pieces = list(self._pieces)
        self._pieces.clear()
        return pieces

    async def reach(self, version: int, seconds: float, *, or_pieces: bool = False) -> bool:
        """Return True when the run has reached `version` since the last call, or after `seconds`.

        With `or_pieces`, return False as soon as pieces can be taken.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._version < version:
                    if or_pieces and self._pieces:
                        return False
                    self._woken.clear()
                    await self._woken.wait()
        self._version = 0
        return True


class Waiters:
    """All waiters by run, and the cache of answers, which moves on with them."""

    def __init__(self) -> None:
        self.answers = AnswerCache()
        self._by_run: dict[UUID, set[Waiter]] = {}

    @contextlib.contextmanager
    def of(self, run_id: UUID) -> Iterator[Waiter]:
        """Wait for a run. Enter before reading its version, so that no move is missed in between."""
        waiter = Waiter()
        self._by_run.setdefault(run_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiters = self._by_run[run_id]
            waiters.discard(waiter)
            if not waiters:
                del self._by_run[run_id]

    def has(self, run_id: UUID) -> bool:
        """Return whether anything waits for the run."""
        return run_id in self._by_run

    def moved(self, versions: Mapping[UUID, int]) -> None:
        """Wake the waiters of runs that have reached these versions."""
        self.answers.moved(versions)
        if self._by_run:
            for run_id, version in versions.items():
                for waiter in self._by_run.get(run_id, ()):
                    waiter.wake(version)

    def heard(self, partial: PartialOutput) -> None:
        """Give a piece of a call's text to the waiters of its run."""
        for waiter in self._by_run.get(partial.run_id, ()):
            waiter.hear(partial)

    def wake(self, run_id: UUID) -> None:
        """Wake the waiters of a run, whatever they wait for."""
        for waiter in self._by_run.get(run_id, ()):
            waiter.wake(_ANY)

    def wake_all(self) -> None:
        """Wake every waiter, whatever it waits for."""
        for waiters in self._by_run.values():
            for waiter in waiters:
                waiter.wake(_ANY)
