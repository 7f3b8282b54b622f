"""Following a run as the read model moves on: until a version is reached, or event by event. Knows no HTTP.

The projection of this process wakes who waits at once; another gateway may project the run's partition, so we also look
now and then.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from contracts.runs.events import (
    CallDoubted,
    CallFailed,
    CallOrdered,
    CallStopped,
    CallSucceeded,
    RunCancelled,
    RunCompleted,
)
from contracts.runs.views import State
from gateway.ports import Away, Run, StepEvent, Views
from gateway.read_model.waiters import Arrival, Arrivals

LOOK_SECONDS = 0.1
"""Between looks while a request waits for a version."""

FOLLOW_SECONDS = 0.5
"""Between looks for a stream of events, which may be many and last long."""

SETTLE_SECONDS = 1.0
"""How long a read waits for what its gateway has just answered: whoever was told of a run finds it."""

LINGER_SECONDS = 30.0
"""How long a stream waits, once its run was cancelled in the middle of a call, to be told what that had cost."""

HEARTBEAT_SECONDS = 15.0
PAGE = 100

_OVER = (State.COMPLETED, State.CANCELLED)
"""A failed run can still be retried."""

_LAST_KINDS = (RunCompleted.kind, RunCancelled.kind)
_BEGINNING = (CallOrdered.kind, CallDoubted.kind)
_ENDING = (CallSucceeded.kind, CallFailed.kind, CallStopped.kind)


@dataclass(slots=True)
class _Heard:
    """What a stream has told of its run: whether it is over, and whether a call went on then, whose end is still to be told."""

    over: bool = False
    is_nothing: bool = True
    _calls: bool = False
    _until: float = 0.0

    def take(self, events: Sequence[StepEvent]) -> None:
        """Learn from what was told."""
        self.is_nothing = False
        for event in events:
            self._calls = event.kind in _BEGINNING or (self._calls and event.kind not in _ENDING)
            if event.kind in _LAST_KINDS:
                self.over, self._until = True, time.monotonic() + LINGER_SECONDS

    @property
    def is_all(self) -> bool:
        """Whether nothing more is expected."""
        return self.over and not (self._calls and time.monotonic() < self._until)


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

    async def settled(self, tenant: str, run_id: UUID) -> Run | None:
        """Return the run as it is; where this gateway answered for it a moment ago, once the read model has that too, if that is soon."""
        version = self._arrivals.recent.version(tenant, run_id)
        return await self.reached(tenant, run_id, version, SETTLE_SECONDS if version else 0)

    async def settle(self, tenant: str, run_id: UUID) -> None:
        """Wait like `settled`, and read nothing."""
        if self._arrivals.recent.version(tenant, run_id):
            await self.settled(tenant, run_id)

    async def events(self, tenant: str, run_id: UUID, after: int) -> AsyncIterator[Sequence[StepEvent | PartialOutput]]:
        """Yield the events behind the version `after`, and new ones as they come, until the run and its call are over.

        In between come pieces of what its call says. Yields nothing but an empty list when nothing has come for a while. An outage of
        PostgreSQL is waited out.
        """
        silent_since, heard = time.monotonic(), _Heard()
        with self._arrivals.of(run_id) as arrival:
            while not self._closed:
                try:
                    events = await self._views.history(tenant, run_id, after, PAGE)
                    if heard.is_nothing and not events:
                        run = await self._views.run(tenant, run_id)
                        heard.over = run is not None and run.state in _OVER
                except Away:
                    events = []
                if events or time.monotonic() - silent_since >= HEARTBEAT_SECONDS:
                    yield events
                    silent_since = time.monotonic()
                if events:
                    after = events[-1].version
                    heard.take(events)
                elif heard.is_all:
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
