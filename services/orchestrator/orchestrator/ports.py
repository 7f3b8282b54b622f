"""What the orchestrator needs of the world: a ledger with one verb for writing, and a publisher."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from chassis.failpoints import Failpoints
from contracts.slots import SlotMap
from contracts.topics import Topic
from messaging.records import Outgoing, RawRecord
from orchestrator.aggregate import Aggregate, Deadline, Due, Event, Facts


class LedgerError(Exception):
    """Base of what the ledger raises."""


class LedgerUnavailable(LedgerError):
    """The ledger does not answer or takes no writes. It is unknown whether the last write took effect."""


class Fenced(LedgerError):
    """Another owner has moved on from where this owner stands. Nothing was written."""


class WrongLog(LedgerError):
    """This is not the log that the ledger knows under its name. Neither is touched."""


class SlotsDiffer(WrongLog):
    """The log and the ledger know different partitions for the slots of a topic."""


class StoredEvent(NamedTuple):
    """An event of a stream, and the bytes it is stored and published as."""

    stream_id: UUID
    event: Event
    body: bytes


class StoredRefusal(NamedTuple):
    """A refusal to remember: the outcome's bytes, and the digest of the request that it answered."""

    command_id: UUID
    stream_id: UUID
    request_sha256: str | None
    outcome: bytes


class Move(NamedTuple):
    """A partition's position, from where this owner stands to where it will."""

    partition: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one batch of commands writes, in one transaction.

    `begun` are streams that were decided on as new, without loading them: the ledger may hold nothing of them.
    """

    moves: Sequence[Move]
    events: Sequence[StoredEvent] = ()
    refusals: Sequence[StoredRefusal] = ()
    deadlines: Sequence[Deadline] = ()
    begun: Collection[UUID] = ()


@dataclass(frozen=True, slots=True)
class LoadedStreams:
    """What the ledger holds of some streams: their events, and their refusals by command. Streams without events are absent."""

    histories: Mapping[UUID, Sequence[StoredEvent]] = field(default_factory=dict)
    refusals: Mapping[UUID, StoredRefusal] = field(default_factory=dict)


class Ledger(Protocol):
    """The truth of one aggregate: its events, its remembered refusals, and how far each partition of its commands is decided.

    Every method raises LedgerUnavailable when the database cannot be reached.
    """

    async def transact(self, batch: Batch) -> None:
        """Write all of `batch` or nothing. Raises Fenced when a position or a stream has moved on from where it was taken to be."""

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Return the histories of streams and their remembered refusals, as far as there are any."""

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the position of each partition of this log; a partition that was never decided stands at 0."""


PAGE_BYTES = 1024 * 1024
"""Bytes of a page of the archive, and one stream or commit more: what publishing again holds at once, and one turn of the event loop."""


class Archive(Protocol):
    """What of the ledger is needed to publish again. Pages are bounded by PAGE_BYTES too."""

    async def waiting(self, after: UUID, limit: int, kinds: Collection[str] = ()) -> list[UUID]:
        """Return the streams that wait for a time, or for one of these `kinds`, in pages by id."""

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Return the histories of streams."""

    async def last_position(self) -> int:
        """Return a position that no commit is beyond."""

    async def events_from(self, position: int, limit: int) -> list[tuple[int, StoredEvent]]:
        """Return the events of so many commits in the order they were written, with their commit's position."""

    async def republish_from(self) -> int | None:
        """Return the position from which on this log lacks earlier commits, or None when it has all that it is to have."""

    async def keep_republish_from(self, position: int | None) -> None:
        """Keep it."""


class DueRow(NamedTuple):
    """A deadline that has passed, and the aggregate whose it is."""

    aggregate: str
    stream_id: UUID
    due: Due


class Deadlines(Protocol):
    """Where deadlines that have passed are taken from."""

    async def take_due(self, aggregates: Sequence[str], limit: int) -> list[DueRow]:
        """Return deadlines of these aggregates that have passed, each to one caller; they fire again unless their stream moves on."""


class Refusals(Protocol):
    """Where refusals are remembered."""

    async def delete_refusals(self, older_than: timedelta, limit: int) -> int:
        """Delete the oldest refusals among those that are too old; return how many that were. Raises LedgerUnavailable."""


class Store(Ledger, Archive, Deadlines, Refusals, Protocol):
    """All of one aggregate's ledger, with its beginning and its end."""

    async def migrate(self) -> None:
        """Bring the tables up to date."""

    async def is_new_log(self) -> bool:
        """Say whether nothing of this log was ever decided."""

    async def slot_maps(self) -> dict[str, SlotMap]:
        """Return the maps from slots to partitions that are known of this log, by topic."""

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps that are not known yet."""

    async def check(self) -> None:
        """Return when the ledger can do its work."""

    async def close(self) -> None:
        """Disconnect."""


class Publisher(Protocol):
    """Where records are handed over to be sent."""

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records, those of one partition in order; the futures end when they have arrived."""


OnRecords = Callable[[Sequence[RawRecord]], Awaitable[None]]
OnRevoked = Callable[[set[int]], Awaitable[None]]


class Subscription(Protocol):
    """This process's share of one topic's partitions."""

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition that is still ours."""

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the offset behind the last record of each partition."""


class Log(Publisher, Protocol):
    """Kafka as the orchestrator sees it."""

    async def connect(self) -> str:
        """Connect for sending; return the log's own id. Raises WrongLog where a topic cannot hold what is written."""

    async def check(self) -> None:
        """Return if the log answers and has all topics. Raises any error with the reason."""

    def subscribe(self, topic: Topic, on_records: OnRecords, on_revoked: OnRevoked) -> Subscription:
        """Share the topic with the other orchestrators, from `start` on. `on_revoked` runs before partitions go to another."""

    async def partitions(self, topic: Topic) -> Sequence[int]:
        """Return the topic's partitions."""

    async def slot_maps(self, topics: Iterable[Topic]) -> list[SlotMap]:
        """Return each topic's map from slots to partitions: as it is kept with the log, or a new one."""

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps with the log. Raises SlotsDiffer where it keeps another, or where a map names partitions that are not there."""

    async def start(self) -> None:
        """Read."""

    async def stop_reading(self) -> None:
        """Leave the group."""

    async def close(self) -> None:
        """Disconnect once what was handed over has been sent, or is given up."""


LookUp = Callable[[Collection[Hashable]], Awaitable[Facts]]
"""Returns what is known of what the decisions of a batch inquired about. Raises LedgerUnavailable: the batch is held."""


async def know_nothing(asked: Collection[Hashable]) -> Facts:  # noqa: ARG001 - the form of LookUp
    """Look up nothing: whatever is asked for is not known."""
    return {}


class Adapters(NamedTuple):
    """The world: a log, a store for each aggregate once the log's id is known, the one clock of the process, and what else is known."""

    log: Log
    open_store: Callable[[str, Aggregate[Any, Any]], Store]
    failpoints: Failpoints
    look_up: LookUp = know_nothing
