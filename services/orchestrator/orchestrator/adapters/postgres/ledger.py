"""The `Ledger` port on PostgreSQL: the `eventsourcing` library's event store, on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from eventsourcing.persistence import EventStore

from orchestrator.adapters.postgres.commit_mapper import Decision, DecisionMapper, decisions
from orchestrator.adapters.postgres.statements import Recorder
from orchestrator.ports import Batch, Known, Recorded
from orchestrator.runs.react import Deadline

_T = TypeVar("_T")

CLOSE_SECONDS = 1.0
"""How long a statement under way may take when the ledger is closed."""


class PostgresLedger:
    """The `Ledger` port. Statements run one after the other on a thread and a connection of their own."""

    def __init__(self, url: str, log_id: str) -> None:
        self._recorder = Recorder(url, log_id)
        self._mapper = DecisionMapper()
        self._store: EventStore[UUID] = EventStore(self._mapper, self._recorder)
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._closed = False

    async def create_tables(self) -> None:
        """Create what is missing."""
        await self._run(self._recorder.create_tables)

    async def close(self) -> None:
        """Disconnect, from under a statement that does not come back if need be."""
        if self._closed:
            return
        self._closed = True
        closing = asyncio.ensure_future(self._run(self._recorder.close))
        await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if not closing.done():
            self._recorder.hang_up()
        await closing
        self._thread.shutdown()

    async def transact(self, batch: Batch) -> None:
        """Write all of `batch` or nothing. Raises Fenced, LedgerAway."""
        await self._run(lambda: self._store.put(decisions(batch.events), batch=batch))

    async def load(self, run_ids: Iterable[UUID]) -> Known:
        """Return the histories of runs and their remembered refusals, as far as there are any."""
        wanted = list(run_ids)
        return await self._run(lambda: self._load(wanted))

    def _load(self, run_ids: list[UUID]) -> Known:
        histories: dict[UUID, list[Recorded]] = {}
        decided, refusals = self._recorder.select_known(run_ids)
        for stored in decided:
            decision: Decision = self._mapper.to_domain_event(stored)
            histories.setdefault(decision.originator_id, []).extend(decision.events)
        return Known(histories, refusals)

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return where each partition of this log stands; one that was never decided stands at 0."""
        wanted = list(partitions)
        return await self._run(lambda: self._recorder.select_positions(wanted))

    async def is_new_log(self) -> bool:
        """Say whether nothing of this log was ever decided."""
        return await self._run(self._recorder.is_new_log)

    async def check(self) -> None:
        """Return when the database answers."""
        await self._run(self._recorder.check)

    async def last_position(self) -> int:
        """Return a position that no decision is beyond."""
        return await self._run(self._recorder.max_notification_id)

    async def events_from(self, position: int, limit: int) -> list[tuple[int, Recorded]]:
        """Return the events of so many decisions in the order they were written, with their decision's position."""
        found = await self._run(lambda: self._recorder.select_notifications(position, limit))
        return [
            (notification.id, recorded)
            for notification in found
            for recorded in self._mapper.to_domain_event(notification).events
        ]

    async def waiting(self, after: UUID, limit: int) -> list[UUID]:
        """Return the runs that wait for a time, in pages by id."""
        return await self._run(lambda: self._recorder.select_waiting(after, limit))

    async def take_due(self, limit: int) -> list[Deadline]:
        """Return the deadlines that are due, each to one caller; they fire again unless their run moves on."""
        return await self._run(lambda: self._recorder.take_due(limit))

    async def forget_refusals(self, older_than: timedelta, limit: int) -> int:
        """Forget the oldest refusals among those that are too old; return how many that were."""
        return await self._run(lambda: self._recorder.forget_refusals(older_than.total_seconds(), limit))

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
