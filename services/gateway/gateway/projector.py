"""Keeps the read model: batches of `run.events` go into the tables, in order, and who waits for them is woken.

A batch that PostgreSQL does not take is held until it does; nothing is skipped and no offset moves past it. Several
gateways may write about the same run for a moment, while partitions move: the tables take a view only where they hold the
one it was folded on, and what is kept in memory here is a hint that they correct. Knows no SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from pydantic import ValidationError

from contracts.base import explain
from contracts.kafka import Confirming, Handed, Outgoing, RawRecord, dead_letter
from contracts.runs.views import RunView, State
from gateway import metrics
from gateway.arrivals import Arrivals
from gateway.ports import Away, SendAll, Tables, Unfit
from gateway.projection import Changes, Gap, Known, Recorded, project_batch

MOST_VIEWS = 4_096
"""Views kept in memory; others are loaded when an event comes for them."""

AGAIN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries while PostgreSQL is away; the last one repeats."""

_OVER = (State.COMPLETED, State.CANCELLED)

_log = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """A record and the event it holds."""

    record: RawRecord
    recorded: Recorded


class Projector:
    """Takes in batches one after the other. An error that is nobody's outage ends the process, by `fail`."""

    def __init__(
        self,
        tables: Tables,
        arrivals: Arrivals,
        send_all: SendAll,
        confirming: Confirming,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._tables = tables
        self._arrivals = arrivals
        self._send_all = send_all
        self._confirming = confirming
        self._fail = fail
        self._views: OrderedDict[UUID, RunView] = OrderedDict()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Take in nothing more; a batch that is held is let go, and read again at the next start."""
        self._closed.set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take in one batch of `run.events`. Malformed records become dead letters and harm no other."""
        if self._closed.is_set():
            return
        try:
            taken, letters = _parsed(records)
            letters += await self._write(taken)
            sends = await self._send_all(letters)
            await self._confirming.hand(Handed(_next_offsets(records), sends))
        except Closed:
            return
        except Exception as error:
            # FastStream would log this and read on past the batch.
            self.close()
            _log.exception("a batch could not be projected")
            self._fail(error)

    async def _write(self, taken: Sequence[Taken]) -> list[Outgoing]:
        """Write a batch and return the dead letters of events that PostgreSQL refuses."""
        if not taken:
            return []
        try:
            await self._hold([item.recorded for item in taken])
        except Unfit as error:
            if len(taken) == 1:
                return [_dead(taken[0].record, error)]
        else:
            return []
        return [letter for item in taken for letter in await self._write([item])]

    async def _hold(self, batch: Sequence[Recorded]) -> None:
        for tries in range(2**31):
            try:
                return await self._apply(batch)
            except Away as error:
                if tries % 20 == 0:
                    _log.warning("PostgreSQL is away, holding the batch", events=len(batch), reason=str(error))
                await self._pause(AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)])
        raise AssertionError("unreachable")

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
            raise Closed

    async def _apply(self, batch: Sequence[Recorded]) -> None:
        began = time.perf_counter()
        known = await self._known({recorded.event.run_id for recorded in batch})
        changes = project_batch(known, batch)
        if changes.gaps:
            # What is kept here may be what another gateway has moved on from; the tables know.
            known |= await self._tables.load(changes.gaps)
            changes = project_batch(known, batch)
        overtaken = await self._write_changes(changes)
        if changes.gaps:
            await self._mend(changes.gaps)
        _observe(batch, changes, began)
        if overtaken:
            await self._apply([recorded for recorded in batch if recorded.event.run_id in overtaken])

    async def _write_changes(self, changes: Changes) -> set[UUID]:
        overtaken = await self._tables.write(changes)
        self._remember(changes, overtaken)
        self._arrivals.recent.written(m for run_id, m in changes.moved.items() if run_id not in overtaken)
        self._arrivals.moved({run_id: moved.view.version for run_id, moved in changes.moved.items()})
        return overtaken

    async def _known(self, run_ids: set[UUID]) -> dict[UUID, Known]:
        known = {run_id: Known(self._views[run_id]) for run_id in run_ids if run_id in self._views}
        missing = run_ids - known.keys()
        return known | await self._tables.load(missing) if missing else known

    async def _mend(self, gaps: Mapping[UUID, Gap]) -> None:
        """Say what is missing, and fold what can be: a rebuild may have brought it while the later events were parked."""
        for run_id, gap in gaps.items():
            _log.error("events are missing", run_id=str(run_id), reached=gap.reached, waiting=gap.waiting)
        metrics.GAPS.inc()
        changes = project_batch(await self._tables.load(gaps), ())
        if changes.moved:
            await self._write_changes(changes)

    def _remember(self, changes: Changes, overtaken: set[UUID]) -> None:
        for run_id, moved in changes.moved.items():
            self._views[run_id] = moved.view
            self._views.move_to_end(run_id)
        # Of a run with a gap the tables know more: what was parked. Of one that is over, nothing more is expected.
        over = {run_id for run_id, moved in changes.moved.items() if moved.view.state in _OVER}
        for run_id in overtaken | changes.gaps.keys() | over:
            self._views.pop(run_id, None)
        while len(self._views) > MOST_VIEWS:
            self._views.popitem(last=False)


class Closed(Exception):
    """The process is about to stop."""


def _parsed(records: Sequence[RawRecord]) -> tuple[list[Taken], list[Outgoing]]:
    taken: list[Taken] = []
    letters: list[Outgoing] = []
    for record in records:
        try:
            taken.append(Taken(record, Recorded.parse(record.value)))
        except ValueError as error:
            letters.append(_dead(record, error))
    return taken, letters


def _dead(record: RawRecord, error: Exception) -> Outgoing:
    metrics.DEAD.labels(record.topic).inc()
    _log.warning(
        "not an event",
        partition=record.partition,
        offset=record.offset,
        reason=explain(error) if isinstance(error, ValidationError) else str(error),
    )
    return dead_letter(record, error)


def _next_offsets(records: Sequence[RawRecord]) -> dict[int, int]:
    return {record.partition: record.offset + 1 for record in records}


def _observe(batch: Sequence[Recorded], changes: Changes, began: float) -> None:
    metrics.PROJECTED.inc(len(changes.events))
    metrics.SKIPPED.inc(len(batch) - len(changes.events))
    metrics.PROJECTION_SECONDS.observe(time.perf_counter() - began)
    metrics.PROJECTION_LAG.set((datetime.now(UTC) - batch[-1].event.at).total_seconds())
