"""The ledger in memory: a database that several owners share, and each owner's view of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from chassis.failpoints import utc_now
from contracts.slots import SlotMap
from orchestrator.aggregate import Aggregate, Due
from orchestrator.ports import Batch, DueRow, Fenced, LedgerUnavailable, LoadedStreams, StoredEvent, StoredRefusal

FIRE_AGAIN = timedelta(seconds=30)


@dataclass
class MemoryDatabase:
    """What PostgreSQL would hold. `available` False lets every call raise LedgerUnavailable."""

    commits: list[tuple[str, list[StoredEvent]]] = field(default_factory=list)
    versions: set[tuple[UUID, int]] = field(default_factory=set)
    refusals: dict[UUID, tuple[datetime, StoredRefusal]] = field(default_factory=dict)
    positions: dict[tuple[str, str, int], int] = field(default_factory=dict)
    deadlines: dict[UUID, tuple[str, datetime, Due]] = field(default_factory=dict)
    slot_maps: dict[tuple[str, str], SlotMap] = field(default_factory=dict)
    available: bool = True
    now: Callable[[], datetime] = utc_now


class MemoryLedger:
    """One aggregate's ledger for one log. Nothing awaits within a call, so each is atomic."""

    def __init__(self, database: MemoryDatabase, log_id: str, aggregate: Aggregate[Any, Any]) -> None:
        self._database = database
        self._log_id = log_id
        self._topic = aggregate.commands.name
        self._aggregate = aggregate.name

    async def migrate(self) -> None:
        """Do nothing: there are no tables."""
        self._check()

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def slot_maps(self) -> dict[str, SlotMap]:
        """Return the maps from slots to partitions that are known of this log, by topic."""
        self._check()
        return {topic: kept for (log, topic), kept in self._database.slot_maps.items() if log == self._log_id}

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps that are not known yet."""
        self._check()
        for slot_map in maps:
            self._database.slot_maps.setdefault((self._log_id, slot_map.topic), slot_map)

    async def check(self) -> None:
        """Raise LedgerUnavailable while the database is unavailable."""
        self._check()

    async def transact(self, batch: Batch) -> None:
        """Write all of `batch` or nothing. Raises Fenced, LedgerUnavailable."""
        self._check()
        database = self._database
        commits = [list(caused) for _, caused in groupby(batch.events, lambda e: (e.stream_id, e.event.cause))]
        first = [(commit[0].stream_id, commit[0].event.version) for commit in commits]
        self._fence(batch, first)
        for move in batch.moves:
            database.positions[self._at(move.partition)] = move.after
        database.versions |= set(first)
        database.commits += [(self._aggregate, commit) for commit in commits]
        now = self._database.now()
        for refusal in batch.refusals:
            database.refusals.setdefault(refusal.command_id, (now, refusal))
        for stream_id, due in batch.deadlines:
            if due is None:
                database.deadlines.pop(stream_id, None)
            else:
                database.deadlines[stream_id] = (self._aggregate, due.at, due)

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Return the histories of streams and their remembered refusals."""
        self._check()
        wanted, histories = set(stream_ids), dict[UUID, list[StoredEvent]]()
        for _, commit in self._database.commits:
            if commit[0].stream_id in wanted:
                histories.setdefault(commit[0].stream_id, []).extend(commit)
        refusals = {
            command_id: refusal
            for command_id, (_, refusal) in self._database.refusals.items()
            if refusal.stream_id in wanted
        }
        return LoadedStreams(histories, refusals)

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the position of each partition, 0 for one that was never decided."""
        self._check()
        return {
            partition: self._database.positions.setdefault(self._at(partition), 0) for partition in list(partitions)
        }

    async def is_new_log(self) -> bool:
        """Say whether nothing of this log was ever decided."""
        self._check()
        return not any((log, topic) == (self._log_id, self._topic) for log, topic, _ in self._database.positions)

    async def last_position(self) -> int:
        """Return the position of the last commit."""
        self._check()
        return len(self._database.commits)

    async def events_from(self, position: int, limit: int) -> list[tuple[int, StoredEvent]]:
        """Return the events of so many commits from a position on; positions count from 1."""
        self._check()
        numbered = list(enumerate(self._database.commits, 1))[max(0, position - 1) :]
        ours = [(number, commit) for number, (aggregate, commit) in numbered if aggregate == self._aggregate]
        return [(number, stored) for number, commit in ours[:limit] for stored in commit]

    async def waiting(self, after: UUID, limit: int) -> list[UUID]:
        """Return the streams that wait for a time, in pages by id."""
        self._check()
        found = (stream_id for stream_id, (of, _, _) in self._database.deadlines.items() if of == self._aggregate)
        return sorted(stream_id for stream_id in found if stream_id > after)[:limit]

    async def take_due(self, aggregates: Sequence[str], limit: int) -> list[DueRow]:
        """Return deadlines that have passed; they fire again unless their stream moves on."""
        self._check()
        now, deadlines = self._database.now(), self._database.deadlines
        passed = [
            (fires, stream_id, of, due)
            for stream_id, (of, fires, due) in deadlines.items()
            if fires <= now and of in aggregates
        ]
        taken = sorted(passed, key=lambda row: row[0])[:limit]
        for _, stream_id, of, due in taken:
            deadlines[stream_id] = (of, now + FIRE_AGAIN, due)
        return [DueRow(of, stream_id, due) for _, stream_id, of, due in taken]

    async def delete_refusals(self, older_than: timedelta, limit: int) -> int:
        """Delete the oldest refusals among those that are too old; return how many that were."""
        self._check()
        before, refusals = self._database.now() - older_than, self._database.refusals
        old = sorted((at, command_id) for command_id, (at, _) in refusals.items() if at < before)[:limit]
        for _, command_id in old:
            del refusals[command_id]
        return len(old)

    def _fence(self, batch: Batch, first: Sequence[tuple[UUID, int]]) -> None:
        database = self._database
        for move in batch.moves:
            if database.positions.get(self._at(move.partition)) != move.before:
                raise Fenced(f"{self._topic}[{move.partition}] has moved on from {move.before}")
        if known := database.versions & set(first):
            raise Fenced(f"{sorted(known)} exist already")
        begun = set(batch.begun)
        if begun & {stream_id for stream_id, _ in database.versions} or any(
            refusal.stream_id in begun for _, refusal in database.refusals.values()
        ):
            raise Fenced("a stream had begun before")

    def _at(self, partition: int) -> tuple[str, str, int]:
        return self._log_id, self._topic, partition

    def _check(self) -> None:
        if not self._database.available:
            raise LedgerUnavailable("unavailable on demand")
