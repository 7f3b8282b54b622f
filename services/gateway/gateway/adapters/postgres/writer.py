"""The writing side of the read model: writes a batch of changes into the tables in one transaction. Folds nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg

from chassis.postgres.connections import DedicatedConnection
from chassis.postgres.named_queries import named_queries
from contracts.ledger_schema import events_of
from contracts.runs.event_header import EventHeader
from contracts.runs.tasks.readers import ALL, entries_of
from gateway.adapters.postgres.connections import QUERY_SECONDS, connector, driver_errors
from gateway.projection.pending import PendingCheckpoint
from gateway.projection.rows import Changes, LoadedRun, RunChange, loaded_at
from gateway.projection.waiting_list import NEVER

REBUILD_BATCH = 500

Fold = Callable[[Mapping[UUID, LoadedRun], Sequence[EventHeader]], Changes]


class PostgresTables:
    """Writes on a dedicated connection. Every method raises DatabaseUnavailable when PostgreSQL does not answer."""

    def __init__(self, url: str) -> None:
        self._sql = named_queries(__package__)
        self._connection = DedicatedConnection(connector(url), QUERY_SECONDS)

    async def close(self) -> None:
        """Disconnect. A batch under way is rolled back."""
        self._connection.close()

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, LoadedRun]:
        """Return these runs, each with its whole history behind its row."""
        async with _using(self._connection) as connection:
            rows = await connection.fetch(self._sql["load"], list(run_ids))
        return {run_id: _loaded(list(found)) for run_id, found in groupby(rows, itemgetter("run_id"))}

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch; return the runs whose stored row is not the one the change was folded on. Raises ValuesRefused."""
        async with _using(self._connection) as connection:
            return await self._write(connection, changes)

    async def remake(self, fold: Fold) -> int:
        """Fold the whole ledger anew; return the number of events. Readers see the old tables until the end, writers wait."""
        count, loaded = 0, dict[UUID, LoadedRun]()
        async with _using(self._connection) as connection, connection.transaction():
            await connection.execute(self._sql["lock-runs"])
            await connection.execute(self._sql["clear"])
            async for batch in self._history(connection):
                changes = fold(loaded, batch)
                await self._write(connection, changes)
                last = batch[-1].run_uuid
                loaded = {last: LoadedRun(changes.moved[last].row)} if last in changes.moved else {}
                count += len(batch)
        return count

    async def _write(self, connection: asyncpg.Connection, changes: Changes) -> set[UUID]:
        # In the order of their ids: two writers lock rows in the same order, so there is no deadlock.
        moved = [changes.moved[run_id] for run_id in sorted(changes.moved)]
        written = await connection.fetch(
            self._sql["write"],
            *_columns(map(_run_row, moved), 12),
            *_columns(changes.approvals, 9),
            [waited.checkpoint_id for each in moved if (waited := each.closed)],
            *_columns([_opened_row(each, pending) for each in moved if (pending := each.opened)], 20),
        )
        return changes.moved.keys() - {row["run_id"] for row in written}

    async def _history(self, connection: asyncpg.Connection) -> AsyncIterator[list[EventHeader]]:
        batch: list[EventHeader] = []
        async for row in connection.cursor(self._sql["all-commits"], prefetch=REBUILD_BATCH):
            batch += map(EventHeader.parse_with_facts, events_of(row["events"]))
            if len(batch) >= REBUILD_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


@asynccontextmanager
async def _using(dedicated: DedicatedConnection) -> AsyncIterator[asyncpg.Connection]:
    with driver_errors():
        async with dedicated.use() as connection:
            yield connection


def _loaded(rows: Sequence[asyncpg.Record]) -> LoadedRun:
    commits = [row["events"] for row in rows if row["events"] is not None]
    return loaded_at(
        rows[0]["reached"], [EventHeader.parse_with_facts(event) for commit in commits for event in events_of(commit)]
    )


def _run_row(moved: RunChange) -> tuple[Any, ...]:
    row = moved.row
    return (
        row.run_id,
        row.tenant,
        row.version,
        moved.found.version if moved.found else 0,
        row.state,
        row.session_id,
        row.user_id,
        row.created_at,
        row.updated_at,
        row.requester,
        row.readers is ALL,
        None if row.readers is ALL or not row.readers else _array(row.readers),
    )


def _opened_row(moved: RunChange, pending: PendingCheckpoint) -> tuple[Any, ...]:
    row, task = moved.row, pending.task
    return (
        pending.checkpoint_id,
        row.run_id,
        row.tenant,
        pending.step,
        row.session_id,
        row.user_id,
        pending.opened_at,
        pending.expires_at,
        row.requester,
        _array(row.readers),
        None if moved.words is None else " ".join(moved.words),
        None if task.candidates.is_everyone else _array(entries_of(task.candidates)),
        task.assignee,
        task.claimant,
        task.lease_until,
        task.owner,
        task.priority,
        task.start_by,
        task.due_at or NEVER,
        task.follow_up_at,
    )


def _array(entries: tuple[str, ...]) -> str:
    """Return an array as PostgreSQL writes it."""
    return "{*}" if entries is ALL else f"{{{','.join(map(_quoted, entries))}}}"


def _quoted(entry: str) -> str:
    escaped = entry.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
