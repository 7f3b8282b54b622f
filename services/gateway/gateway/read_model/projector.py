"""Keeps the read model: batches of `run.events` go into the tables, in order, and who waits for them is woken.

A batch that PostgreSQL does not take is held until it does; nothing is skipped and no offset moves past it. Several
gateways may write about the same run for a moment, while partitions move: the tables take a row only where they hold the
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

from contracts.message import explain
from contracts.runs.event_effects import State
from contracts.runs.event_header import EventHeader
from gateway import metrics
from gateway.ports import Away, SendAll, Tables, Unfit
from gateway.projection.rows import Changes, Known, Standing, project_batch
from gateway.read_model.waiters import Arrivals
from messaging.dead_letters import dead_letter
from messaging.offset_committer import OffsetCommitter, SentBatch
from messaging.records import Outgoing, RawRecord

MOST_STANDINGS = 10_000
"""Runs of which it is known how they stand; that of others is loaded when an event comes for them."""

PACE_SECONDS = (0.01, 0.04)
"""A batch takes at least so long, by its size, so that the next one gathers what comes meanwhile: few events are not kept waiting, and
many are worth a wait, which spares a third of all commits."""

MANY = 20
"""Events of a batch from which on there is so much to do that waiting pays."""

AGAIN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries while PostgreSQL is away; the last one repeats."""

_OVER = (State.COMPLETED, State.CANCELLED)

_log = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """A record and the event it holds."""

    record: RawRecord
    header: EventHeader


class Projector:
    """Takes in batches one after the other. An error that is nobody's outage ends the process, by `fail`."""

    def __init__(
        self,
        tables: Tables,
        arrivals: Arrivals,
        send_all: SendAll,
        confirming: OffsetCommitter,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._tables = tables
        self._arrivals = arrivals
        self._send_all = send_all
        self._confirming = confirming
        self._fail = fail
        self._standings: OrderedDict[UUID, Standing] = OrderedDict()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Take in nothing more; a batch that is held is let go, and read again at the next start."""
        self._closed.set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take in one batch of `run.events`. Malformed records become dead letters and harm no other."""
        if self._closed.is_set():
            return
        began = time.monotonic()
        try:
            taken, letters = _parsed(records)
            letters += await self._write(taken)
            sends = await self._send_all(letters)
            await self._confirming.add(SentBatch(_next_offsets(records), sends))
            await self._pause(max(0.0, began + PACE_SECONDS[len(records) >= MANY] - time.monotonic()))
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
            await self._hold([item.header for item in taken])
        except Unfit as error:
            if len(taken) == 1:
                return [_dead(taken[0].record, error)]
        else:
            return []
        return [letter for item in taken for letter in await self._write([item])]

    async def _hold(self, batch: Sequence[EventHeader]) -> None:
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

    async def _apply(self, batch: Sequence[EventHeader], *, again: bool = False) -> None:
        began = time.perf_counter()
        # A run that begins is taken for new, at first: when it comes again, the tables say so.
        new = set() if again else {header.run_uuid for header in batch if header.version == 1}
        known = await self._known({header.run_uuid for header in batch} - new)
        changes = project_batch(known, batch)
        if changes.gaps:
            # Another gateway may have moved the run on, or an event be lost: the tables and the record know.
            known |= await self._tables.load(changes.gaps)
            changes = project_batch(known, batch)
        _tell(changes.gaps)
        overtaken = await self._tables.write(changes) if changes.moved else set()
        self._remember(changes, overtaken)
        self._arrivals.moved({run_id: moved.standing.version for run_id, moved in changes.moved.items()})
        _observe(batch, changes, began)
        if overtaken:
            await self._apply([header for header in batch if header.run_uuid in overtaken], again=True)

    async def _known(self, run_ids: set[UUID]) -> dict[UUID, Known]:
        known = {run_id: Known(self._standings[run_id]) for run_id in run_ids if run_id in self._standings}
        missing = run_ids - known.keys()
        return known | await self._tables.load(missing) if missing else known

    def _remember(self, changes: Changes, overtaken: set[UUID]) -> None:
        for run_id, moved in changes.moved.items():
            self._standings[run_id] = moved.standing
            self._standings.move_to_end(run_id)
        # Of one that is over, nothing more is expected.
        over = {run_id for run_id, moved in changes.moved.items() if moved.standing.state in _OVER}
        for run_id in overtaken | changes.gaps.keys() | over:
            self._standings.pop(run_id, None)
        while len(self._standings) > MOST_STANDINGS:
            self._standings.popitem(last=False)


class Closed(Exception):
    """The process is about to stop."""


def _parsed(records: Sequence[RawRecord]) -> tuple[list[Taken], list[Outgoing]]:
    taken: list[Taken] = []
    letters: list[Outgoing] = []
    for record in records:
        try:
            taken.append(Taken(record, EventHeader.parse_with_facts(record.value or b"")))
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


def _tell(gaps: Mapping[UUID, int]) -> None:
    for run_id, missing in gaps.items():
        _log.error("an event is missing, in the record too", run_id=str(run_id), version=missing)
        metrics.GAPS.inc()


def _observe(batch: Sequence[EventHeader], changes: Changes, began: float) -> None:
    metrics.PROJECTED.inc(changes.news)
    metrics.SKIPPED.inc(max(0, len(batch) - changes.news))
    metrics.PROJECTION_SECONDS.observe(time.perf_counter() - began)
    metrics.PROJECTION_LAG.set((datetime.now(UTC) - batch[-1].moment).total_seconds())
