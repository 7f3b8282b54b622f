"""Histories for tests of the read model: events of specifications under ids of their own, the ledger, and a feed of records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from chassis.failpoints import utc_now
from contracts.ledger_schema import commit_of
from contracts.runs.event_header import EventHeader
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project
from gateway.ports import Tables
from gateway.read_model.projector import Projector
from gateway.read_model.waiters import Waiters
from gateway.testing.memory import MemoryTables
from messaging.offset_committer import OffsetCommitter
from messaging.records import Outgoing
from testkit.kafka.records import Record
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.runs.specification import Story


def history_of(story: Story, run_id: UUID | None = None, **members: Any) -> list[bytes]:
    """Return the stored events of a story; with `run_id`, as those of another run with checkpoints of its own."""
    return [_moved(event.model_copy(update=members), run_id).to_bytes() for event in story.history]


def view_of(records: Iterable[bytes]) -> RunView:
    """Return the view of an unbroken row of events."""
    view = None
    for record in records:
        view = project(view, RunEvent.parse(record))
    assert view is not None
    return view


Append = Callable[[Sequence[bytes]], Awaitable[None]]
"""Writes events into the ledger, as the orchestrator does before it publishes them; stored events stay."""

_APPEND = """
INSERT INTO ledger.commits (aggregate, stream_id, version, events)
SELECT 'run', * FROM unnest($1::uuid[], $2::int4[], $3::bytea[])
ON CONFLICT DO NOTHING"""


def memory_append(tables: MemoryTables) -> Append:
    """Return the `Append` of a read model in memory."""

    async def append(values: Sequence[bytes]) -> None:
        for value in values:
            tables.append(value)

    return append


def postgres_append(url: str) -> Append:
    """Return the `Append` of a database."""

    async def append(values: Sequence[bytes]) -> None:
        await make_ledger_tables(url)
        connection = await asyncpg.connect(url)
        try:
            there = {tuple(row) for row in await connection.fetch("SELECT run_id, version FROM ledger.events")}
            told = [(EventHeader.parse(value), value) for value in values]
            fresh = [(header, value) for header, value in told if (header.run_uuid, header.version) not in there]
            rows = list(_decisions(fresh))
            await connection.execute(_APPEND, *([row[column] for row in rows] for column in range(3)))
        finally:
            await connection.close()

    return append


def _decisions(told: Sequence[tuple[EventHeader, bytes]]) -> Iterator[tuple[UUID, int, bytes]]:
    # Events of one command are consecutive; a test may leave some of them out.
    def caused_by(at: tuple[int, tuple[EventHeader, bytes]]) -> tuple[UUID, str | None, int]:
        place, (header, value) = at
        return header.run_uuid, json.loads(value).get("cause"), header.version - place

    for _, group in groupby(enumerate(told), caused_by):
        headers, records = zip(*(each for _, each in group), strict=True)
        yield headers[0].run_uuid, headers[0].version, commit_of(records)


async def no_append(values: Sequence[bytes]) -> None:
    """Write nothing: the events are published and not stored."""


def _moved(event: RunEvent, run_id: UUID | None) -> RunEvent:
    if run_id is None:
        return event
    data, checkpoint_id = event.data, getattr(event.data, "checkpoint_id", None)
    if checkpoint_id is not None:
        data = data.model_copy(update={"checkpoint_id": uuid5(run_id, str(checkpoint_id))})
    return event.model_copy(update={"run_id": run_id, "data": data})


class DeadLetters:
    """Collects dead letters."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send_all(self, letters: Sequence[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take letters, acknowledged at once."""
        self.sent += letters
        return []


class Feed:
    """A projector with its input: numbers the records, commits their offsets, collects dead letters.

    `append` stores the events in the ledger before the projector gets them.
    """

    def __init__(self, tables: Tables, append: Append | None = None) -> None:
        self._append = append or (memory_append(tables) if isinstance(tables, MemoryTables) else no_append)
        self._letters = DeadLetters()
        self.committed: dict[int, int] = {}
        self.failures: list[BaseException] = []
        self.waiters = Waiters()
        self._confirming = OffsetCommitter(self._commit)
        self.projector = Projector(
            tables, self.waiters, self._letters.send_all, self._confirming, self.failures.append, utc_now
        )
        self._offset = 0

    @property
    def letters(self) -> list[Outgoing]:
        """The dead letters that were written."""
        return self._letters.sent

    async def give(self, *values: bytes | None) -> None:
        """Store a batch, project it, and commit its confirmed offsets."""
        await self._append([value for value in values if value is not None and value.startswith(b"{")])
        await self.deliver(*values)

    async def deliver(self, *values: bytes | None) -> None:
        """Project a batch without storing it first. Raises the failure that would end the process."""
        records = [Record(value, self._offset + number) for number, value in enumerate(values)]
        self._offset += len(records)
        confirming = asyncio.create_task(self._confirming.track())
        try:
            await self.projector.on_records(records)
            await self._confirming.settle()
        finally:
            confirming.cancel()
        if self.failures:
            raise self.failures[-1]

    async def give_all(self, batches: Iterable[Sequence[bytes]]) -> None:
        """Store and project batches one after the other."""
        for batch in batches:
            await self.give(*batch)

    async def _commit(self, offsets: Any) -> None:
        self.committed |= offsets
