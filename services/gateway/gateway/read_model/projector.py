"""The projector: writes batches of `run.events` into the tables, in order, and wakes the waiters of their runs. Knows no SQL.

While PostgreSQL is unavailable the batch is held: nothing is skipped, and no offset moves past it. While partitions move, two gateways
may write the same run: a row is written only over the row it was folded on. So the cache of rows here may be stale, and costs no more
than a second read then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from chassis.obstacle import Obstacle
from contracts.runs.event_header import EventHeader, State
from gateway import metrics
from gateway.errors import DatabaseUnavailable, GatewayError, ValuesRefused
from gateway.ports import Now, SendAll, Tables
from gateway.projection.rows import Changes, LoadedRun, RunRow, project_batch
from gateway.read_model.event_records import ParsedRecord, dead_event, parse_events
from gateway.read_model.waiters import Waiters
from messaging.offset_committer import OffsetCommitter, SentBatch
from messaging.records import Outgoing, RawRecord, next_offsets

MOST_ROWS = 10_000
"""Rows in the cache; others are loaded when an event of their run comes. An ordered dict: `cachetools.LRUCache` costs 1.6 µs for what
takes 0.6 here."""

PACE_SECONDS = (0.01, 0.04)
"""The least time from batch to batch, for a small and a large batch, in which the next one gathers. It spares a third of all commits."""

MANY = 20
"""Events that make a batch a large one."""

AGAIN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries while PostgreSQL is unavailable; the last one repeats."""

_OVER = (State.COMPLETED, State.CANCELLED)

_log = structlog.get_logger(__name__)


class Projector:
    """Projects batches one after the other. An error other than an outage ends the process, through `fail`."""

    def __init__(
        self,
        tables: Tables,
        waiters: Waiters,
        send_all: SendAll,
        committer: OffsetCommitter,
        fail: Callable[[BaseException], None],
        now: Now,
    ) -> None:
        self._tables = tables
        self._waiters = waiters
        self._send_all = send_all
        self._committer = committer
        self._fail = fail
        self._now = now
        self._rows: OrderedDict[UUID, RunRow] = OrderedDict()
        self._closed = asyncio.Event()
        self.obstacle = Obstacle()

    def close(self) -> None:
        """Project nothing more. A batch that is held is dropped, and read again at the next start."""
        self._closed.set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Project one batch of `run.events`. Malformed records become dead letters."""
        if self._closed.is_set():
            return
        began = time.monotonic()
        try:
            parsed, letters = parse_events(records)
            letters += await self._write(parsed)
            sends = await self._send_all(letters)
            await self._committer.add(SentBatch(next_offsets(records), sends))
            await self._pause(max(0.0, began + PACE_SECONDS[len(records) >= MANY] - time.monotonic()))
        except ProjectorClosed:
            return
        except Exception as error:
            # FastStream would log the error and read on past the batch.
            self.close()
            _log.exception("a batch could not be projected")
            self._fail(error)

    async def _write(self, parsed: Sequence[ParsedRecord]) -> list[Outgoing]:
        """Write a batch; return the dead letters of events that PostgreSQL refuses, found by writing them one by one."""
        if not parsed:
            return []
        try:
            await self._hold([item.header for item in parsed])
        except ValuesRefused as error:
            if len(parsed) == 1:
                return [dead_event(parsed[0].record, error)]
        else:
            return []
        return [letter for item in parsed for letter in await self._write([item])]

    async def _hold(self, batch: Sequence[EventHeader]) -> None:
        for tries in range(2**31):
            try:
                await self._apply(batch)
            except DatabaseUnavailable as error:
                self.obstacle.reason = f"events are held: {error}"
                if tries % 20 == 0:
                    _log.warning("PostgreSQL does not answer, holding the batch", events=len(batch), reason=str(error))
                await self._pause(AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)])
            except ValuesRefused:
                self.obstacle.reason = None  # nothing is held: the event goes to the dead letters
                raise
            else:
                self.obstacle.reason = None
                return

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
            raise ProjectorClosed

    async def _apply(self, batch: Sequence[EventHeader]) -> None:
        # A run whose first event is here is assumed new and not loaded. If it is not, the tables refuse the row.
        new = {header.run_uuid for header in batch if header.version == 1}
        while overtaken := await self._apply_once(batch, new):
            batch, new = [header for header in batch if header.run_uuid in overtaken], set()

    async def _apply_once(self, batch: Sequence[EventHeader], new: set[UUID]) -> set[UUID]:
        began = time.perf_counter()
        loaded = await self._load({header.run_uuid for header in batch} - new)
        changes = project_batch(loaded, batch)
        if changes.gaps:
            # Another gateway may have written the run, or an event was lost: the tables and the ledger have it.
            loaded |= await self._tables.load(changes.gaps)
            changes = project_batch(loaded, batch)
        _report(changes.gaps)
        overtaken = await self._tables.write(changes) if changes.moved else set()
        self._cache(changes, overtaken)
        # An overtaken run is not written yet: who is told of it now would read it as it was.
        written = changes.moved.keys() - overtaken
        self._waiters.moved({run_id: changes.moved[run_id].row.version for run_id in written})
        _observe(batch, changes, began, self._now())
        return overtaken

    async def _load(self, run_ids: set[UUID]) -> dict[UUID, LoadedRun]:
        loaded = {run_id: LoadedRun(self._rows[run_id]) for run_id in run_ids if run_id in self._rows}
        missing = run_ids - loaded.keys()
        return loaded | await self._tables.load(missing) if missing else loaded

    def _cache(self, changes: Changes, overtaken: set[UUID]) -> None:
        for run_id, moved in changes.moved.items():
            self._rows[run_id] = moved.row
            self._rows.move_to_end(run_id)
        # No event is expected of a run that is over.
        over = {run_id for run_id, moved in changes.moved.items() if moved.row.state in _OVER}
        for run_id in overtaken | changes.gaps.keys() | over:
            self._rows.pop(run_id, None)
        while len(self._rows) > MOST_ROWS:
            self._rows.popitem(last=False)


class ProjectorClosed(GatewayError):
    """The process is about to stop."""


def _report(gaps: Mapping[UUID, int]) -> None:
    for run_id, missing in gaps.items():
        _log.error("an event is missing, in the ledger too", run_id=str(run_id), version=missing)
        metrics.GAPS.inc()


def _observe(batch: Sequence[EventHeader], changes: Changes, began: float, now: datetime) -> None:
    metrics.PROJECTED.inc(changes.news)
    metrics.SKIPPED.inc(max(0, len(batch) - changes.news))
    metrics.PROJECTION_SECONDS.observe(time.perf_counter() - began)
    metrics.PROJECTION_LAG.set((now - batch[-1].moment).total_seconds())
