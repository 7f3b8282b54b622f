"""What the gateway needs from outside: PostgreSQL as a read model and a file store, Kafka as commands out and records in, the time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from artifacts.store import Artifact
from contracts.runs.commands import Command
from contracts.runs.outcomes import Answer
from contracts.runs.tasks.readers import Reader
from contracts.runs.views import RenderedView
from gateway.projection.rows import Changes, LoadedRun
from gateway.projection.waiting_list import EVERYTHING, OLDEST_FIRST, WaitingFilters, WaitingOrder
from identity.ports import Absences, KeyRepository, People, Secrets, Sessions
from identity.settings import Kept
from messaging.offset_committer import OffsetCommitter
from messaging.records import Outgoing, RawRecord

Now = Callable[[], datetime]

SendAll = Callable[[Sequence[Outgoing]], Awaitable[Sequence[asyncio.Future[Any]]]]
"""Hands records to Kafka in order; each future ends when Kafka has acknowledged its record."""

OnRecords = Callable[[Sequence[RawRecord]], Awaitable[None]]


class Tables(Protocol):
    """The writing side of the read model. Every method raises DatabaseUnavailable."""

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, LoadedRun]:
        """Return these runs, each with its whole history behind its row."""

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch in one transaction; return the runs whose stored row is not the one the change was folded on.

        Nothing is written for those: load and fold them again. Raises ValuesRefused.
        """

    async def close(self) -> None:
        """Disconnect; a batch under way is rolled back."""


class StepEvent(NamedTuple):
    """An event as it is stored, in JSON."""

    version: int
    kind: str
    json: bytes


class History(NamedTuple):
    """A part of a history, as much as a page has, and whether more is stored behind it."""

    events: list[StepEvent]
    more: bool


class Place(NamedTuple):
    """Where a page ended: the next begins behind it."""

    at: datetime
    id: UUID


class Page(NamedTuple):
    """Views in JSON, as many as a page has, and the place of the last one if more follow."""

    views: list[bytes]
    end: Place | None


class WaitingPlace(NamedTuple):
    """Where a page of the waiting list ended. `rank` is what the list is sorted by, unless it is `at`."""

    at: datetime
    id: UUID
    rank: datetime | int | None = None


class WaitingPage(NamedTuple):
    """A page of the waiting list. `total` counts what the list holds on all its pages, up to MOST_COUNTED."""

    views: list[bytes]
    end: WaitingPlace | None
    total: int


class Views(Protocol):
    """The reading side of the read model, bound to a tenant. Every method raises DatabaseUnavailable.

    A list holds what `reader` may read; without one, everything of the tenant.
    """

    async def run(self, tenant: str, run_id: UUID) -> RenderedView | None:
        """Return one run, or None."""

    async def may_read(self, tenant: str, run_id: UUID, reader: Reader) -> bool:
        """Return whether a reader may read a run; False where there is none."""

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> History:
        """Return events of a run behind the version `after`, in order, up to the version of its row."""

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        is_open: bool = False,
        reader: Reader | None = None,
    ) -> Page:
        """Return a page of runs, newest first; with `is_open`, of those that are not over."""

    async def pending(
        self,
        tenant: str,
        limit: int,
        after: WaitingPlace | None = None,
        filters: WaitingFilters = EVERYTHING,
        order: WaitingOrder = OLDEST_FIRST,
        reader: Reader | None = None,
    ) -> WaitingPage:
        """Return a page of the runs with an open checkpoint, and how many there are."""


class Artifacts(Protocol):
    """Files by the hash of their content, each seen by its own tenant alone. Every method raises DatabaseUnavailable."""

    async def put(
        self, tenant: str, body: bytes, media_type: str, session_id: str | None = None, key: str | None = None
    ) -> Artifact:
        """Keep a file, linked to the session that brought it. The same bytes again are the same artifact.

        The same upload under the same key gets the same answer. Raises artifacts.store.UploadKeyReused for another one.
        """

    async def find(self, tenant: str, sha256: str) -> Artifact | None:
        """Return a file without its bytes, or None."""

    async def piece(self, tenant: str, sha256: str, at: int, size: int) -> bytes:
        """Return the bytes of a file from `at` on, `size` at most; none behind its end."""


class KeptDraft(NamedTuple):
    """A draft of a decision, in JSON, on the checkpoint that was open."""

    checkpoint_id: UUID
    json: str
    saved_at: datetime


class Drafts(Protocol):
    """One draft a person and run. Every method raises DatabaseUnavailable."""

    async def put(self, tenant: str, run_id: UUID, person: str, draft: KeptDraft) -> None:
        """Keep a person's draft in place of the one before."""

    async def get(self, tenant: str, run_id: UUID, person: str) -> KeptDraft | None:
        """Return a person's draft, or None."""

    async def drop(self, tenant: str, run_id: UUID, person: str) -> bool:
        """Drop a person's draft; return whether there was one."""


class Database(Protocol):
    """Whether PostgreSQL answers. It is pinged, so that no request waits for a server that hangs."""

    @property
    def is_unavailable(self) -> bool:
        """Whether the last ping failed, or none has been made."""

    async def start(self) -> None:
        """Connect and ping once. An unavailable database is no reason not to start."""

    async def watch(self) -> None:
        """Ping for ever."""

    async def check(self) -> None:
        """Raise DatabaseUnavailable unless the last ping was answered."""

    async def stop(self) -> None:
        """Disconnect."""


class Readers(NamedTuple):
    """Who takes the records of each topic that the gateway reads."""

    events: OnRecords
    catalog: OnRecords
    partial_output: OnRecords


class Broker(Protocol):
    """Kafka: commands out and their outcomes back, records in. One a process."""

    committer: OffsetCommitter

    async def send_all(self, records: Sequence[Outgoing]) -> Sequence[asyncio.Future[Any]]:
        """Hand records over in order; each future ends when its record is acknowledged."""

    async def ask(self, command: Command, wait_seconds: float) -> Answer | None:
        """Send a command and return its outcome, or None when that is late.

        Raises messaging.errors.BrokerUnavailable when Kafka does not take the command.
        """

    async def connect(self, readers: Readers) -> None:
        """Return once commands can be sent and no outcome will be missed; waits for Kafka without end. Events come after `join`."""

    async def join(self) -> None:
        """Begin to read `run.events` in the group of all gateways. Waits until a member that died is removed from it."""

    async def check(self) -> None:
        """Raise unless Kafka answers and outcomes are read."""

    async def settle(self) -> None:
        """Commit the offsets of what was written, if that can be done soon."""

    async def stop(self) -> None:
        """Disconnect."""


class Adapters(NamedTuple):
    """Everything outside the gateway: PostgreSQL and Kafka in production, memory in tests."""

    database: Database
    tables: Tables
    views: Views
    artifacts: Artifacts
    drafts: Drafts
    keys: KeyRepository
    sessions: Sessions
    absences: Absences
    people: People
    secrets: Secrets
    broker: Broker
    now: Now

    def kept(self) -> Kept:
        """Return what identity keeps."""
        return Kept(self.keys, self.sessions, self.absences, self.people, self.secrets)
