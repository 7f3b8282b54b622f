"""The `Ledger` port on PostgreSQL, in the terms of the `eventsourcing` library. Every statement of the ledger is here.

The library's own recorder inserts a row for each event, as composite arrays, on a thread. Ours inserts commits as plain arrays, together
with all else that the batch writes, in the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent as Row

from chassis.postgres.migrations import SchemaUnavailable, migrate
from chassis.postgres.named_queries import named_queries
from contracts.slots import SlotMap
from orchestrator.adapters.postgres.commit_mapper import Commit, CommitMapper, commits
from orchestrator.adapters.postgres.commit_statement import batch_statement
from orchestrator.adapters.postgres.connection import Connection
from orchestrator.aggregate import Aggregate, Due
from orchestrator.ports import (
    PAGE_BYTES,
    Batch,
    DueRow,
    LedgerUnavailable,
    LoadedStreams,
    StoredEvent,
    StoredRefusal,
)

CLOSE_SECONDS = 1.0
"""How long a statement under way may take when the ledger is closed."""

STATEMENT_SECONDS = 15.0
"""How long a statement may take. Beyond that its connection is closed: a server, or a network, may be silent without an end."""

FIRE_AGAIN_SECONDS = 30.0
"""A deadline whose command got lost fires again after this long, until the stream's next event moves or clears it."""

_SQL = named_queries(__package__)


class PostgresLedger:
    """The ledger of one aggregate for one log. Statements run one after the other on a connection of their own."""

    def __init__(
        self, url: str, log_id: str, aggregate: Aggregate[Any, Any], statement_seconds: float = STATEMENT_SECONDS
    ) -> None:
        self._url = url
        self._log_id = log_id
        self._topic = aggregate.commands.name
        self._events = aggregate.events.name
        self._aggregate = aggregate.name
        self._mapper = CommitMapper(aggregate.parse_event)
        self._connection = Connection(url, statement_seconds)

    async def migrate(self) -> None:
        """Bring the schema `ledger` up to date. Raises LedgerUnavailable, chassis.postgres.migrations.NewerSchema."""
        try:
            await asyncio.to_thread(migrate, self._url, {"ledger": f"{__package__}.migrations"})
        except SchemaUnavailable as error:
            raise LedgerUnavailable(str(error)) from error

    async def check(self) -> None:
        """Return when the database takes writes and has the ledger. Raises LedgerUnavailable."""
        await self._connection.check("ledger.commits")

    async def close(self) -> None:
        """Disconnect, from under a statement that does not come back if need be."""
        await self._connection.close(CLOSE_SECONDS)

    async def transact(self, batch: Batch) -> None:
        """Write all of `batch` or nothing, in one statement, which is one transaction. Raises Fenced, LedgerUnavailable."""
        rows = [self._mapper.to_stored_event(commit) for commit in commits(batch.events)]
        statement, values = batch_statement(self._log_id, self._topic, self._aggregate, batch, rows)
        async with self._connection.use() as connection:
            await connection.execute(statement, *values)

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Return the histories of streams and their remembered refusals, as far as there are any."""
        wanted = list(stream_ids)
        async with self._connection.use() as connection:
            rows = await connection.fetch(_SQL["select-commits"], wanted, self._aggregate)
            refusals = await connection.fetch(_SQL["select-refusals"], wanted, self._aggregate)
        histories: dict[UUID, list[StoredEvent]] = {}
        for stream_id, version, events in rows:
            histories.setdefault(stream_id, []).extend(self._commit(stream_id, version, events).events)
        return LoadedStreams(histories, {row["command_id"]: StoredRefusal(*row) for row in refusals})

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the position of each partition of this log; one that was never decided stands at 0."""
        of = (self._log_id, self._topic, list(partitions))
        async with self._connection.use() as connection:
            await connection.execute(_SQL["begin-partitions"], *of)
            rows = await connection.fetch(_SQL["select-positions"], *of)
        return {row["partition"]: row["position"] for row in rows}

    async def is_new_log(self) -> bool:
        """Say whether nothing of this log was ever decided."""
        async with self._connection.use() as connection:
            return not await connection.fetchval(_SQL["is-known-log"], self._log_id, self._topic)

    async def slot_maps(self) -> dict[str, SlotMap]:
        """Return the maps from slots to partitions that are known of this log, by topic."""
        async with self._connection.use() as connection:
            rows = await connection.fetch(_SQL["select-slot-maps"], self._log_id)
        return {topic: SlotMap(topic=topic, slots=tuple(slots)) for topic, slots in rows}

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps that are not known yet, all of them or none."""
        rows = [(self._log_id, of.topic, list(of.slots)) for of in maps]
        async with self._connection.use() as connection:
            await connection.executemany(_SQL["insert-slot-map"], rows)

    async def last_position(self) -> int:
        """Return a position that no commit is beyond, 0 when there is none."""
        async with self._connection.use() as connection:
            return int(await connection.fetchval(_SQL["last-position"]))

    async def events_from(self, position: int, limit: int) -> list[tuple[int, StoredEvent]]:
        """Return the events of so many commits in the order they were written, with their commit's position."""
        last = await self.last_position()
        for first in range(position, last + 1, limit):
            page = (first, first + limit - 1, self._aggregate, PAGE_BYTES)
            async with self._connection.use() as connection:
                rows = await connection.fetch(_SQL["select-commits-from"], *page)
            if rows:  # positions have gaps, even ones of a page's length
                return [
                    (at, stored)
                    for stream_id, version, events, at in rows
                    for stored in self._commit(stream_id, version, events).events
                ]
        return []

    async def waiting(self, after: UUID, limit: int, kinds: Collection[str] = ()) -> list[UUID]:
        """Return the streams that wait for a time, or for one of these `kinds`, in pages by id."""
        page = (after, self._aggregate, sorted(kinds), limit, PAGE_BYTES)
        async with self._connection.use() as connection:
            return [row[0] for row in await connection.fetch(_SQL["select-waiting"], *page)]

    async def republish_from(self) -> int | None:
        """Return the position from which on this log lacks earlier commits, or None when it has all that it is to have."""
        async with self._connection.use() as connection:
            found: int | None = await connection.fetchval(_SQL["select-republish-from"], self._log_id, self._events)
            return found

    async def keep_republish_from(self, position: int | None) -> None:
        """Keep it."""
        name, values = ("end-republishing", ()) if position is None else ("keep-republish-from", (position,))
        async with self._connection.use() as connection:
            await connection.execute(_SQL[name], self._log_id, self._events, *values)

    async def take_due(self, aggregates: Sequence[str], limit: int) -> list[DueRow]:
        """Return deadlines of these aggregates that have passed, each to one caller; they fire again unless their stream moves on."""
        async with self._connection.use() as connection:
            rows = await connection.fetch(_SQL["take-due"], FIRE_AGAIN_SECONDS, list(aggregates), limit)
        return [
            DueRow(aggregate, stream_id, Due(kind, tenant, at.astimezone(UTC), about, count))
            for aggregate, stream_id, kind, tenant, at, about, count in rows
        ]

    async def delete_refusals(self, older_than: timedelta, limit: int) -> int:
        """Delete the oldest refusals among those that are too old; return how many that were."""
        async with self._connection.use() as connection:
            said = await connection.execute(_SQL["delete-refusals"], older_than.total_seconds(), limit)
        return int(said.removeprefix("DELETE "))

    def _commit(self, stream_id: UUID, version: int, events: bytes) -> Commit:
        commit: Commit = self._mapper.to_domain_event(Row(stream_id, version, "", events))
        return commit
