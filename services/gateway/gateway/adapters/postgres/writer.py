"""The writing side of the read model: what the projection says goes into the tables, all of a batch or nothing. Folds nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg

from contracts.ledger_schema import events_of, record_sql
from contracts.runs.event_header import EventHeader
from gateway.adapters.postgres.pool import Dedicated, translated
from gateway.adapters.postgres.reader import named_queries
from gateway.ports import Away
from gateway.projection.rows import Changes, Known, Moved, Standing, Waiting, known_at

REMAKE_BATCH = 500

Fold = Callable[[Mapping[UUID, Known], Sequence[EventHeader]], Changes]


async def ensure_schema(url: str) -> None:
    """Make the tables that are missing. Any number of gateways may do so at once. Raises Away."""
    sql, line = named_queries(), Dedicated(url)
    try:
        async with _using(line) as connection, connection.transaction():
            if not await connection.fetchval(sql["schema-is-made"]):
                await connection.execute(sql["lock-schema"])
                await connection.execute(record_sql())
                await connection.execute(sql["schema"])
    finally:
        await line.close()


class PostgresTables:
    """Writes on a connection of its own, which comes back by itself. Every method raises Away when PostgreSQL does not answer."""

    def __init__(self, url: str) -> None:
        self._sql = named_queries()
        self._line = Dedicated(url)

    async def close(self) -> None:
        """Leave. A batch under way is rolled back."""
        await self._line.close()

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, Known]:
        """Return what is known of each of these runs."""
        async with _using(self._line) as connection:
            rows = await connection.fetch(self._sql["load"], list(run_ids))
        return {run_id: _known(list(found)) for run_id, found in groupby(rows, itemgetter("run_id"))}

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch at once; return the runs that are not as it found them. Raises Unfit."""
        async with _using(self._line) as connection:
            return await self._write(connection, changes)

    async def remake(self, fold: Fold) -> int:
        """Fold the whole record anew; return how many events. Readers see the old tables until all is done, writers wait."""
        count, known = 0, dict[UUID, Known]()
        async with _using(self._line) as connection, connection.transaction():
            await connection.execute(self._sql["lock-runs"])
            await connection.execute(self._sql["clear"])
            async for batch in self._recorded(connection):
                changes = fold(known, batch)
                await self._write(connection, changes)
                last = batch[-1].run_uuid
                known = {last: Known(changes.moved[last].standing)} if last in changes.moved else {}
                count += len(batch)
        return count

    async def _write(self, connection: asyncpg.Connection, changes: Changes) -> set[UUID]:
        # In the order of their ids, so that two writers never wait for each other crosswise.
        moved = [changes.moved[run_id] for run_id in sorted(changes.moved)]
        written = await connection.fetch(
            self._sql["write"],
            *_columns(map(_run_row, moved), 9),
            *_columns(changes.decisions, 9),
            [waited.checkpoint_id for each in moved if (waited := each.closed)],
            *_columns([_opened_row(each.standing, waits) for each in moved if (waits := each.opened)], 8),
        )
        return changes.moved.keys() - {row["run_id"] for row in written}

    async def _recorded(self, connection: asyncpg.Connection) -> AsyncIterator[list[EventHeader]]:
        batch: list[EventHeader] = []
        async for row in connection.cursor(self._sql["all-decisions"], prefetch=REMAKE_BATCH):
            batch += map(EventHeader.parse, events_of(row["events"]))
            if len(batch) >= REMAKE_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


@asynccontextmanager
async def _using(line: Dedicated) -> AsyncIterator[asyncpg.Connection]:
    try:
        with translated():
            yield await line.connection()
    except Away:
        # What state the connection is in, nobody knows.
        await line.close()
        raise


def _known(rows: Sequence[asyncpg.Record]) -> Known:
    decided = [row["events"] for row in rows if row["events"] is not None]
    return known_at(
        rows[0]["reached"], [EventHeader.parse(event) for decision in decided for event in events_of(decision)]
    )


def _run_row(moved: Moved) -> tuple[Any, ...]:
    standing = moved.standing
    return (
        standing.run_id,
        standing.tenant,
        standing.version,
        moved.found.version if moved.found else 0,
        standing.state,
        standing.session_id,
        standing.user_id,
        standing.created_at,
        standing.updated_at,
    )


def _opened_row(standing: Standing, waits: Waiting) -> tuple[Any, ...]:
    return (
        waits.checkpoint_id,
        standing.run_id,
        standing.tenant,
        waits.step,
        standing.session_id,
        standing.user_id,
        waits.opened_at,
        waits.expires_at,
    )
