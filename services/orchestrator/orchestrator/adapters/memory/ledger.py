"""The ledger in memory: a database that several owners share, and each owner's view of it. Events are kept as bytes, as in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from chassis.failpoints import utc_now
from contracts.ledger_schema import commit_of, events_of
from contracts.slots import SlotMap
from orchestrator.aggregate import Aggregate, Due
from orchestrator.ports import (
    PAGE_BYTES,
    Batch,
    DueRow,
    Fenced,
    LedgerUnavailable,
    LoadedStreams,
    StoredEvent,
    StoredRefusal,
)

FIRE_AGAIN = timedelta(seconds=30)


class _Commit(NamedTuple):
    aggregate: str
    stream_id: UUID
    version: int
    events: bytes


@dataclass
class MemoryDatabase:
    """What PostgreSQL would hold. `available` False lets every call raise LedgerUnavailable."""

    commits: list[_Commit] = field(default_factory=list)
    refusals: dict[tuple[str, UUID], tuple[datetime, StoredRefusal]] = field(default_factory=dict)
    positions: dict[tuple[str, str, int], int] = field(default_factory=dict)
    deadlines: dict[tuple[str, UUID], tuple[datetime, Due]] = field(default_factory=dict)
    slot_maps: dict[tuple[str, str], SlotMap] = field(default_factory=dict)
    republish_from: dict[tuple[str, str], int] = field(default_factory=dict)
    available: bool = True
    now: Callable[[], datetime] = utc_now


_T = TypeVar("_T")


def _page(found: Sequence[_T], sizes: Iterable[int]) -> list[_T]:
    before = accumulate(sizes, initial=0)
    return [one for one, held in zip(found, before, strict=False) if held < PAGE_BYTES]


class MemoryLedger:
    """One aggregate's ledger for one log. Nothing awaits within a call, so each is atomic."""

    def __init__(self, database: MemoryDatabase, log_id: str, aggregate: Aggregate[Any, Any]) -> None:
        self._database = database
        self._log_id = log_id
        self._topic = aggregate.commands.name
        self._aggregate = aggregate.name
        self._parse_event = aggregate.parse_event

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
        database, mine = self._database, self._aggregate
        commits = list(self._commits(batch.events))
        self._fence(batch, commits)
        for move in batch.moves:
            database.positions[self._at(move.partition)] = move.after
        database.commits += commits
        for refusal in batch.refusals:
            database.refusals.setdefault((mine, refusal.command_id), (database.now(), refusal))
        for stream_id, due in batch.deadlines:
            if due is None:
                database.deadlines.pop((mine, stream_id), None)
            else:
                database.deadlines[mine, stream_id] = (due.at, due)

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Return the histories of streams and their remembered refusals."""
        self._check()
        wanted, histories = set(stream_ids), dict[UUID, list[StoredEvent]]()
        for commit in self._database.commits:
            if commit.aggregate == self._aggregate and commit.stream_id in wanted:
                histories.setdefault(commit.stream_id, []).extend(self._events(commit))
        refusals = {
            command_id: refusal
            for (aggregate, command_id), (_, refusal) in self._database.refusals.items()
            if aggregate == self._aggregate and refusal.stream_id in wanted
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
        ours = [(number, commit) for number, commit in numbered if commit.aggregate == self._aggregate][:limit]
        page = _page(ours, (len(commit.events) for _, commit in ours))
        return [(number, stored) for number, commit in page for stored in self._events(commit)]

    async def waiting(self, after: UUID, limit: int, kinds: Collection[str] = ()) -> list[UUID]:
        """Return the streams that wait for a time, or for one of these `kinds`, in pages by id."""
        self._check()
        found = sorted(
            stream_id
            for (aggregate, stream_id), (_, due) in self._database.deadlines.items()
            if aggregate == self._aggregate and stream_id > after and (not kinds or due.kind in kinds)
        )[:limit]
        return _page(found, map(self._size, found))

    async def republish_from(self) -> int | None:
        """Return the position from which on this log lacks earlier commits, or None when it has all that it is to have."""
        self._check()
        return self._database.republish_from.get((self._log_id, self._aggregate))

    async def keep_republish_from(self, position: int | None) -> None:
        """Keep it."""
        self._check()
        if position is None:
            self._database.republish_from.pop((self._log_id, self._aggregate), None)
        else:
            self._database.republish_from[self._log_id, self._aggregate] = position

    async def take_due(self, aggregates: Sequence[str], limit: int) -> list[DueRow]:
        """Return deadlines that have passed; they fire again unless their stream moves on."""
        self._check()
        now, deadlines = self._database.now(), self._database.deadlines
        passed = [(fires, of, due) for of, (fires, due) in deadlines.items() if fires <= now and of[0] in aggregates]
        taken = sorted(passed, key=lambda row: row[0])[:limit]
        for _, of, due in taken:
            deadlines[of] = (now + FIRE_AGAIN, due)
        return [DueRow(*of, due) for _, of, due in taken]

    async def delete_refusals(self, older_than: timedelta, limit: int) -> int:
        """Delete the oldest refusals among those that are too old; return how many that were."""
        self._check()
        before, refusals = self._database.now() - older_than, self._database.refusals
        old = sorted((at, of) for of, (at, _) in refusals.items() if at < before)[:limit]
        for _, of in old:
            del refusals[of]
        return len(old)

    def _size(self, stream_id: UUID) -> int:
        mine = (self._aggregate, stream_id)
        return sum(len(commit.events) for commit in self._database.commits if commit[:2] == mine)

    def _commits(self, events: Sequence[StoredEvent]) -> Iterable[_Commit]:
        for (stream_id, _), caused in groupby(events, lambda stored: (stored.stream_id, stored.event.cause)):
            commit = list(caused)
            bodies = commit_of(stored.body for stored in commit)
            yield _Commit(self._aggregate, stream_id, commit[0].event.version, bodies)

    def _events(self, commit: _Commit) -> list[StoredEvent]:
        return [StoredEvent(commit.stream_id, self._parse_event(body), body) for body in events_of(commit.events)]

    def _fence(self, batch: Batch, commits: Sequence[_Commit]) -> None:
        database, mine = self._database, self._aggregate
        for move in batch.moves:
            if database.positions.get(self._at(move.partition)) != move.before:
                raise Fenced(f"{self._topic}[{move.partition}] has moved on from {move.before}")
        known = {commit[:3] for commit in database.commits}
        if overtaken := known & {commit[:3] for commit in commits}:
            raise Fenced(f"{sorted(overtaken)} exist already")
        begun = {(mine, stream_id) for stream_id in batch.begun}
        refused = {(of, refusal.stream_id) for (of, _), (_, refusal) in database.refusals.items()}
        if begun & ({key[:2] for key in known} | refused):
            raise Fenced("a stream had begun before")

    def _at(self, partition: int) -> tuple[str, str, int]:
        return self._log_id, self._topic, partition

    def _check(self) -> None:
        if not self._database.available:
            raise LedgerUnavailable("unavailable on demand")
