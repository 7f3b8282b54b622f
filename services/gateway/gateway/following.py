"""Following a run as the read model moves on: until a version is reached, or event by event. Knows no HTTP.

The projection of this process wakes who waits at once; another gateway may project the run's partition, so we also look
now and then.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from contracts.live import PartialOutput
from contracts.runs.events import RunCancelled, RunCompleted
from contracts.runs.views import State
from gateway.arrivals import Arrival, Arrivals
from gateway.ports import Away, Run, StepEvent, Views

LOOK_SECONDS = 0.1
"""Between looks while a request waits for a version."""

FOLLOW_SECONDS = 0.5
"""Between looks for a stream of events, which may be many and last long."""

HEARTBEAT_SECONDS = 15.0
PAGE = 100

_OVER = (State.COMPLETED, State.CANCELLED)
"""A failed run can still be retried."""

_LAST_KINDS = (RunCompleted.kind, RunCancelled.kind)


class Following:
    """Waits for runs."""

    def __init__(self, views: Views, arrivals: Arrivals) -> None:
        self._views = views
        self._arrivals = arrivals
        self._closed = False

    def close(self) -> None:
        """End all streams and waits: the process is about to stop, and clients come back to another."""
        self._closed = True
        self._arrivals.wake_all()

    async def reached(self, tenant: str, run_id: UUID, version: int, seconds: float) -> Run | None:
        """Return the run once it has `version` or more, or as it is after `seconds`. Raises Away."""
        until, recent = time.monotonic() + seconds, self._arrivals.recent
        with self._arrivals.of(run_id) as arrival:
            while True:
                left = until - time.monotonic()
                ended = self._closed or left <= 0
                run = recent.run(tenant, run_id, version) if version else None
                if run is None and (ended or not recent.is_behind(tenant, run_id, version)):
                    run = await self._views.run(tenant, run_id)
                if ended or (run is not None and run.version >= version):
                    return run
                await arrival.reach(version, min(LOOK_SECONDS, left))

    async def events(self, tenant: str, run_id: UUID, after: int) -> AsyncIterator[Sequence[StepEvent | PartialOutput]]:
        """Yield the events behind the version `after`, and new ones as they come, until the run is over.

        In between come pieces of what its call says. Yields nothing but an empty list when nothing has come for a while. An outage of
        PostgreSQL is waited out.
        """
        silent_since, over = time.monotonic(), None
        with self._arrivals.of(run_id) as arrival:
            while not self._closed:
                try:
                    events = await self._views.history(tenant, run_id, after, PAGE)
                    if over is None and not events:
                        run = await self._views.run(tenant, run_id)
                        over = run is not None and run.state in _OVER
                except Away:
                    events = []
                if events or time.monotonic() - silent_since >= HEARTBEAT_SECONDS:
                    yield events
                    silent_since = time.monotonic()
                if events:
                    after, over = events[-1].version, events[-1].kind in _LAST_KINDS
                elif over:
                    return
                else:
                    async for said in self._listen(arrival, after + 1):
                        yield said
                        silent_since = time.monotonic()

    async def _listen(self, arrival: Arrival, version: int) -> AsyncIterator[Sequence[PartialOutput]]:
        """Yield what a call says until there is reason to look: the run has come to `version`, or time is up."""
        until = time.monotonic() + FOLLOW_SECONDS
        while not self._closed and not await arrival.reach(version, until - time.monotonic(), listening=True):
            yield arrival.take()
