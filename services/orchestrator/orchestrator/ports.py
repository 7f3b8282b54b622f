"""What the orchestrator needs of the world: a ledger with one verb for writing, and a publisher."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from contracts.runs.outcomes import Refused
from contracts.runs.run_event import RunEvent
from messaging.records import Outgoing
from orchestrator.runs.react import Deadline


class LedgerAway(Exception):
    """The ledger cannot be reached or takes no writes at the moment. Whether the last write took effect is not known."""


class Fenced(Exception):
    """Somebody else has moved on from where this owner stands. Nothing was written."""


class Recorded(NamedTuple):
    """An event and the bytes it is stored and published as."""

    event: RunEvent
    body: bytes


class RefusedRequest(NamedTuple):
    """A refusal to remember, and the digest of the request it answered."""

    outcome: Refused
    request_sha256: str | None


class Move(NamedTuple):
    """A partition's position, from where this owner stands to where it will."""

    partition: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one batch of commands writes, in one transaction.

    `begun` are the runs that were decided on unseen, as runs that begin: nothing of them may be known.
    """

    moves: Sequence[Move]
    events: Sequence[Recorded] = ()
    refusals: Sequence[RefusedRequest] = ()
    deadlines: Sequence[Deadline] = ()
    begun: Collection[UUID] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds about some runs: their events, and what they refused, by command. Runs without events are absent."""

    histories: Mapping[UUID, Sequence[Recorded]] = field(default_factory=dict)
    refusals: Mapping[UUID, RefusedRequest] = field(default_factory=dict)


class Ledger(Protocol):
    """The truth: every event, every remembered refusal, and how far each partition has been decided.

    Every method raises LedgerAway when PostgreSQL cannot be reached.
    """

    async def transact(self, batch: Batch) -> None:
        """Write all of `batch` or nothing. Raises Fenced when a position or a run has moved on from where it was taken to be."""

    async def load(self, run_ids: Iterable[UUID]) -> Known:
        """Return the histories of runs and their remembered refusals, as far as there are any."""

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return where each partition of this log stands; one that was never decided stands at 0."""


class Publisher(Protocol):
    """Where records are handed over to be sent."""

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records, those of one partition in order; the futures end when they have arrived."""
