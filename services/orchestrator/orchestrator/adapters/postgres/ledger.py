"""The `Ledger` port on PostgreSQL: the `eventsourcing` library's event store, on a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import EventStore

from chassis.postgres.migrations import SchemaUnavailable, migrate
from contracts.slots import SlotMap
from orchestrator.adapters.postgres.commit_mapper import Commit, CommitMapper, commits
from orchestrator.adapters.postgres.connection import Connection
from orchestrator.adapters.postgres.statements import PostgresStatements
from orchestrator.aggregate import Aggregate
from orchestrator.ports import Batch, DueRow, LedgerUnavailable, LoadedStreams, StoredEvent

_T = TypeVar("_T")

CLOSE_SECONDS = 1.0
"""How long a statement under way may take when the ledger is closed."""


STATEMENT_SECONDS = 15.0
"""How long a call may take. Beyond that its connection is cut: a server, or a network, may be silent without an end."""


class PostgresLedger:
    """The ledger of one aggregate. Statements run one after the other on a thread and a connection of their own."""

    def __init__(
        self, url: str, log_id: str, aggregate: Aggregate[Any, Any], statement_seconds: float = STATEMENT_SECONDS
    ) -> None:
        self._url = url
        self._connection = Connection(url)
        self._statements = PostgresStatements(self._connection, log_id, aggregate)
        self._mapper = CommitMapper(aggregate.parse_event)
        self._store: EventStore[UUID] = EventStore(self._mapper, self._statements)
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._seconds = statement_seconds
        self._calls = 0
        self._since: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False

    async def migrate(self) -> None:
        """Bring the schema `ledger` up to date. Raises LedgerUnavailable, chassis.postgres.migrations.NewerSchema."""
        await self._run(self._migrate)

    async def close(self) -> None:
        """Disconnect, from under a statement that does not come back if need be."""
        if self._closed:
            return
        self._closed = True
        closing = asyncio.ensure_future(self._run(self._connection.close))
        await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if not closing.done():
            self._connection.hang_up()
        await closing
        self._thread.shutdown()

    async def transact(self, batch: Batch) -> None:
        """Write all of `batch` or nothing. Raises Fenced, LedgerUnavailable."""
        await self._run(lambda: self._store.put(commits(batch.events), batch=batch))

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Return the histories of streams and their remembered refusals, as far as there are any."""
        wanted = list(stream_ids)
        return await self._run(lambda: self._load(wanted))

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the position of each partition of this log; one that was never decided stands at 0."""
        wanted = list(partitions)
        return await self._run(lambda: self._statements.select_positions(wanted))

    async def is_new_log(self) -> bool:
        """Say whether nothing of this log was ever decided."""
        return not await self._run(self._statements.is_known_log)

    async def slot_maps(self) -> dict[str, SlotMap]:
        """Return the maps from slots to partitions that are known of this log, by topic."""
        return await self._run(self._statements.select_slot_maps)

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps that are not known yet."""
        found = list(maps)
        await self._run(lambda: self._statements.insert_slot_maps(found))

    async def check(self) -> None:
        """Return when the database takes writes and has the ledger. Raises LedgerUnavailable."""
        await self._run(self._statements.check)

    async def last_position(self) -> int:
        """Return a position that no commit is beyond."""
        return await self._run(self._statements.max_notification_id)

    async def events_from(self, position: int, limit: int) -> list[tuple[int, StoredEvent]]:
        """Return the events of so many commits in the order they were written, with their commit's position."""
        found = await self._run(lambda: self._statements.select_notifications(position, limit))
        return [
            (notification.id, stored)
            for notification in found
            for stored in self._mapper.to_domain_event(notification).events
        ]

    async def waiting(self, after: UUID, limit: int, kinds: Collection[str] = ()) -> list[UUID]:
        """Return the streams that wait for a time, or for one of these `kinds`, in pages by id."""
        return await self._run(lambda: self._statements.select_waiting(after, limit, kinds))

    async def republish_from(self) -> int | None:
        """Return the position from which on this log lacks earlier commits, or None when it has all that it is to have."""
        return await self._run(self._statements.select_republish_from)

    async def keep_republish_from(self, position: int | None) -> None:
        """Keep it."""
        await self._run(lambda: self._statements.keep_republish_from(position))

    async def take_due(self, aggregates: Sequence[str], limit: int) -> list[DueRow]:
        """Return deadlines of these aggregates that have passed, each to one caller; they fire again unless their stream moves on."""
        return await self._run(lambda: self._statements.take_due(aggregates, limit))

    async def delete_refusals(self, older_than: timedelta, limit: int) -> int:
        """Delete the oldest refusals among those that are too old; return how many that were."""
        return await self._run(lambda: self._statements.delete_refusals(older_than.total_seconds(), limit))

    def _migrate(self) -> None:
        try:
            migrate(self._url, {"ledger": f"{__package__}.migrations"})
        except SchemaUnavailable as error:
            raise LedgerUnavailable(str(error)) from error

    def _load(self, stream_ids: list[UUID]) -> LoadedStreams:
        histories: dict[UUID, list[StoredEvent]] = {}
        rows, refusals = self._statements.select_streams(stream_ids)
        for row in rows:
            commit: Commit = self._mapper.to_domain_event(row)
            histories.setdefault(commit.originator_id, []).extend(commit.events)
        return LoadedStreams(histories, refusals)

    async def _run(self, work: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        self._calls += 1
        if self._watch is None:
            self._watch = loop.call_later(self._seconds, self._look)
        try:
            return await loop.run_in_executor(self._thread, self._timed, work)
        finally:
            self._calls -= 1

    def _timed(self, work: Callable[[], _T]) -> _T:
        self._since = time.monotonic()
        try:
            return work()
        finally:
            self._since = None

    def _look(self) -> None:
        # One watch for all calls: it costs the hot path nothing, and looks again while there are any.
        self._watch = None
        running = 0.0 if self._since is None else time.monotonic() - self._since
        if running >= self._seconds:
            self._connection.hang_up()
        if self._calls:
            again = max(self._seconds - running, 1.0)
            self._watch = asyncio.get_running_loop().call_later(again, self._look)
