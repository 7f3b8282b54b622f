"""Following a run as the read model moves on: until a version is reached, or event by event. Knows no HTTP.

The projection of this process wakes its waiters. Another gateway may project the run's partition, so the tables are also read at
an interval.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from contracts.runs.views import RenderedView
from gateway.errors import DatabaseUnavailable
from gateway.ports import StepEvent, Views
from gateway.read_model.stream_state import LINGER_SECONDS, StreamState
from gateway.read_model.waiters import Waiter, Waiters

LOOK_SECONDS = 0.1
"""Between reads of the tables while a request waits for a version."""

FOLLOW_SECONDS = 0.5
"""Between reads of the tables for a stream: streams may be many and last long."""

LOOKS_A_SECOND = 200.0
"""Reads of the tables in a second, of all waits and streams together: the more there are, the longer each waits for its next look."""

SETTLE_SECONDS = 1.0
"""How long a read without a version waits for the version that this gateway has just answered: a new run is found."""

HEARTBEAT_SECONDS = 15.0
PAGE = 100


class Follower:
    """Waits for runs, on behalf of requests and streams."""

    def __init__(self, views: Views, waiters: Waiters, clock: Callable[[], float] = time.monotonic) -> None:
        self._views = views
        self._waiters = waiters
        self._clock = clock
        self._closed = False
        self._looking = 0

    def close(self) -> None:
        """End all streams and waits: the process is about to stop, and clients reconnect to another."""
        self._closed = True
        self._waiters.wake_all()

    def look_again(self, run_id: UUID) -> None:
        """Let the waits and streams of a run look now whether they go on."""
        self._waiters.wake(run_id)

    async def reached(self, tenant: str, run_id: UUID, version: int, seconds: float) -> RenderedView | None:
        """Return the run at `version` or beyond, or as it is after `seconds`. Raises DatabaseUnavailable."""
        until, answers = self._clock() + seconds, self._waiters.answers
        with self._waiters.of(run_id) as waiter, self._looks():
            while True:
                left = until - self._clock()
                ended = self._closed or left <= 0
                run = answers.run(tenant, run_id, version) if version else None
                if run is None and (ended or not answers.is_behind(tenant, run_id, version)):
                    run = await self._views.run(tenant, run_id)
                if ended or (run is not None and run.version >= version):
                    return run
                await waiter.reach(version, min(self._pause(LOOK_SECONDS), left))

    async def settled(self, tenant: str, run_id: UUID) -> RenderedView | None:
        """Return the run as it is, after waiting up to SETTLE_SECONDS for a version that this gateway has just answered."""
        version = self._waiters.answers.version(tenant, run_id)
        return await self.reached(tenant, run_id, version, SETTLE_SECONDS if version else 0)

    async def settle(self, tenant: str, run_id: UUID) -> None:
        """Wait like `settled`, and read nothing where there is nothing to wait for."""
        if self._waiters.answers.version(tenant, run_id):
            await self.settled(tenant, run_id)

    async def events(
        self, tenant: str, run_id: UUID, after: int, goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[Sequence[StepEvent | PartialOutput]]:
        """Yield the events behind the version `after`, and new ones as they come, until the run and its call are over.

        Pieces of the running call's text come in between. An empty list is a heartbeat. An outage of PostgreSQL is waited out.
        `goes_on` ends it too; call `look_again` after it has changed.
        """
        quiet_since, state = self._clock(), StreamState(self._clock)
        with self._waiters.of(run_id) as waiter, self._looks():
            while goes_on() and not self._closed:
                events = await self._next(tenant, run_id, after, state)
                if events or self._clock() - quiet_since >= HEARTBEAT_SECONDS:
                    yield events
                    quiet_since = self._clock()
                if events:
                    after = events[-1].version
                    state.sent(events)
                elif state.is_complete:
                    return
                else:
                    async for pieces in self._pieces(waiter, after + 1):
                        if not goes_on():
                            return
                        yield pieces
                        quiet_since = self._clock()

    async def is_finished(self, tenant: str, run_id: UUID, after: int, now: datetime) -> bool:
        """Return whether no event behind the version `after` is to come, ever. Raises DatabaseUnavailable."""
        run = await self._views.run(tenant, run_id)
        if run is None or not run.is_final or run.version > after:
            return False
        is_fresh = now < run.updated_at + timedelta(seconds=LINGER_SECONDS)
        return not (is_fresh and await self._is_calling(tenant, run_id))

    async def _next(self, tenant: str, run_id: UUID, after: int, state: StreamState) -> list[StepEvent]:
        """Read the next events. Where there are none and it is not sure why, learn from the run's view whether it is over."""
        try:
            events = (await self._views.history(tenant, run_id, after, PAGE)).events
            if events or state.is_sure:
                return events
            run = await self._views.run(tenant, run_id)
            if run is not None and run.version <= after:
                state.is_calling = await self._is_calling(tenant, run_id) if state.is_empty else state.is_calling
                state.settle(is_over=run.is_final)
        except DatabaseUnavailable:
            return []
        return events

    async def _is_calling(self, tenant: str, run_id: UUID) -> bool:
        """Return whether the run's history ends in a call that has not ended."""
        state, after = StreamState(self._clock), 0
        while events := (await self._views.history(tenant, run_id, after, PAGE)).events:
            state.sent(events)
            after = events[-1].version
        return state.is_calling

    async def _pieces(self, waiter: Waiter, version: int) -> AsyncIterator[Sequence[PartialOutput]]:
        """Yield pieces of text until the run has reached `version` or it is time to read the tables."""
        until = self._clock() + self._pause(FOLLOW_SECONDS)
        while not self._closed and not await waiter.reach(version, until - self._clock(), or_pieces=True):
            yield waiter.take()

    @contextmanager
    def _looks(self) -> Iterator[None]:
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1

    def _pause(self, least: float) -> float:
        """Return how long a wait or a stream waits for its next look."""
        return max(least, self._looking / LOOKS_A_SECOND)
