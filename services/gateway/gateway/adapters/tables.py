"""The writing side of the read model: what the projection says goes into the tables, all of a batch or nothing. Folds nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from contracts.runs.views import Checkpoint, RunView
from gateway.adapters.database import Dedicated, translated
from gateway.adapters.views import named_queries
from gateway.ports import Away
from gateway.projection import Changes, Decision, Known, Moved, Recorded

REMAKE_BATCH = 500

Fold = Callable[[Mapping[UUID, Known], Sequence[Recorded]], Changes]


async def ensure_schema(url: str) -> None:
    """Make the tables that are missing. Any number of gateways may do so at once. Raises Away."""
    sql, line = named_queries(), Dedicated(url)
    try:
        async with _using(line) as connection, connection.transaction():
            if not await connection.fetchval(sql["schema-is-made"]):
                await connection.execute(sql["lock-schema"])
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
        return {row["run_id"]: _known(row) for row in rows}

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch at once; return the runs that are not as it found them. Raises Unfit."""
        async with _using(self._line) as connection:
            return await self._write(connection, changes)

    async def keep(self, events: Iterable[Recorded]) -> None:
        """Keep events and fold nothing. Raises Unfit."""
        async with _using(self._line) as connection:
            await connection.execute(self._sql["keep"], *_columns(map(_event_row, events), 5))

    async def remake(self, fold: Fold) -> int:
        """Fold all events that are kept anew; return how many. Readers see the old tables until all is done, writers wait."""
        count, known = 0, dict[UUID, Known]()
        async with _using(self._line) as connection, connection.transaction():
            await connection.execute(self._sql["lock-runs"])
            await connection.execute(self._sql["clear"])
            async for batch in self._kept(connection):
                changes = fold(known, batch)
                changes.events.clear()
                await self._write(connection, changes)
                last = batch[-1].event.run_id
                moved = changes.moved.get(last)
                known = {last: Known(moved.view)} if moved else {last: known.get(last, Known())}
                count += len(batch)
        return count

    async def _write(self, connection: asyncpg.Connection, changes: Changes) -> set[UUID]:
        # In the order of their ids, so that two writers never wait for each other crosswise. Also a batch that moves none
        # takes the table's lock: so it waits for a remake, and what it parks is parked after it.
        moved = [changes.moved[run_id] for run_id in sorted(changes.moved)]
        written = await connection.fetch(
            self._sql["write"],
            *_columns(map(_run_row, moved), 10),
            *_columns(map(_event_row, changes.events), 5),
            *_columns(map(_decision_row, changes.decisions), 10),
            [checkpoint.checkpoint_id for each in moved if (checkpoint := each.closed)],
            *_columns([_opened_row(each, checkpoint) for each in moved if (checkpoint := each.opened)], 9),
        )
        return changes.moved.keys() - {row["run_id"] for row in written}

    async def _kept(self, connection: asyncpg.Connection) -> AsyncIterator[list[Recorded]]:
        batch: list[Recorded] = []
        async for row in connection.cursor(self._sql["all-events"], prefetch=REMAKE_BATCH):
            batch.append(Recorded.parse(row["record"].encode()))
            if len(batch) == REMAKE_BATCH:
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


def _known(row: asyncpg.Record) -> Known:
    view = None if row["view"] is None else RunView.model_validate_json(row["view"])
    return Known(view, tuple(Recorded.parse(record.encode()) for record in row["records"] or ()))


def _run_row(moved: Moved) -> tuple[Any, ...]:
    view = moved.view
    return (
        view.run_id,
        moved.tenant,
        view.version,
        moved.found_version,
        view.state.value,
        view.session_id,
        view.user_id,
        view.created_at,
        view.updated_at,
        view.model_dump_json(),
    )


def _event_row(recorded: Recorded) -> tuple[Any, ...]:
    event = recorded.event
    return event.run_id, event.version, event.kind, event.at, recorded.text


def _decision_row(decision: Decision) -> tuple[Any, ...]:
    approval = decision.approval
    return (
        decision.run_id,
        decision.version,
        approval.checkpoint_id,
        decision.tenant,
        approval.step.value,
        approval.action,
        approval.actor,
        approval.at,
        approval.subject_sha256,
        approval.model_dump_json(),
    )


def _opened_row(moved: Moved, checkpoint: Checkpoint) -> tuple[Any, ...]:
    return (
        checkpoint.checkpoint_id,
        moved.view.run_id,
        moved.tenant,
        checkpoint.step.value,
        checkpoint.assignee,
        moved.view.session_id,
        moved.view.user_id,
        checkpoint.opened_at,
        checkpoint.expires_at,
    )
