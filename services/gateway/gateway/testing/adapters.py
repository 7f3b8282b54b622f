"""All adapters in memory: a database that fails at will, files in a dict, and a broker whose orchestrator is a function."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from artifacts.media_type import found_type
from artifacts.store import Artifact, UploadKeyReused, upload_digest
from chassis.failpoints import utc_now
from contracts.runs.commands import Command
from contracts.runs.outcomes import Answer, Outcome, answer_of
from contracts.topics import CATALOG, EVENTS, PARTIALS, Topic
from gateway.errors import DatabaseUnavailable
from gateway.ports import Adapters, KeptDraft, Now, OnRecords, Readers
from gateway.testing.memory import MemoryTables
from identity.testing.memory import MemoryKeys, MemorySecrets
from identity.testing.memory_absences import MemoryAbsences
from identity.testing.memory_people import MemoryPeople
from identity.testing.memory_sessions import MemorySessions
from messaging.errors import BrokerUnavailable
from messaging.offset_committer import OffsetCommitter
from messaging.records import Outgoing

Decide = Callable[[Command], Awaitable[Outcome | None]]
"""The orchestrator of a test: returns the outcome of a command, or None for one that comes late."""


class MemoryDatabase:
    """A database that answers while its tables do."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    @property
    def is_unavailable(self) -> bool:
        """Whether the test made the tables fail."""
        return self._tables.unavailable

    async def start(self) -> None:
        """Connect to nothing."""

    async def watch(self) -> None:
        """Watch nothing."""

    async def check(self) -> None:
        """Raise DatabaseUnavailable while the tables are unavailable."""
        if self.is_unavailable:
            raise DatabaseUnavailable("unavailable")

    async def stop(self) -> None:
        """Disconnect from nothing."""


class MemoryArtifacts:
    """Files by tenant and hash."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._files: dict[tuple[str, str], tuple[Artifact, bytes]] = {}
        self._answers: dict[tuple[str, str], tuple[str, Artifact]] = {}

    async def put(
        self, tenant: str, body: bytes, media_type: str, session_id: str | None = None, key: str | None = None
    ) -> Artifact:
        """Keep a file. Raises UploadKeyReused."""
        await self._database.check()
        sha256 = hashlib.sha256(body).hexdigest()
        request = upload_digest(sha256, session_id)
        if key is not None and (tenant, key) in self._answers:
            before, answer = self._answers[tenant, key]
            if before != request:
                raise UploadKeyReused(UploadKeyReused.__doc__)
            return answer
        found = self._files.setdefault((tenant, sha256), (Artifact(sha256, len(body), media_type), body))[0]
        if found.media_type != media_type:
            found = Artifact(sha256, len(body), found_type(body))
            self._files[tenant, sha256] = found, body
        if key is not None:
            self._answers[tenant, key] = request, found
        return found

    async def find(self, tenant: str, sha256: str) -> Artifact | None:
        """Return a file without its bytes, or None."""
        await self._database.check()
        found = self._files.get((tenant, sha256))
        return found[0] if found else None

    async def piece(self, tenant: str, sha256: str, at: int, size: int) -> bytes:
        """Return the bytes of a file from `at` on, `size` at most; none behind its end."""
        await self._database.check()
        return self._files[tenant, sha256][1][at : at + size]


class MemoryDrafts:
    """Drafts in a dict."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._drafts: dict[tuple[str, UUID, str], KeptDraft] = {}

    async def put(self, tenant: str, run_id: UUID, person: str, draft: KeptDraft) -> None:
        """Keep a person's draft in place of the one before."""
        await self._database.check()
        self._drafts[tenant, run_id, person] = draft

    async def get(self, tenant: str, run_id: UUID, person: str) -> KeptDraft | None:
        """Return a person's draft, or None."""
        await self._database.check()
        return self._drafts.get((tenant, run_id, person))

    async def drop(self, tenant: str, run_id: UUID, person: str) -> bool:
        """Drop a person's draft; return whether there was one."""
        await self._database.check()
        return self._drafts.pop((tenant, run_id, person), None) is not None


@dataclass
class MemoryRecord:
    """A record as a reader gets it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class MemoryBroker:
    """A broker in this process. `decide` answers commands, and `deliver` hands records to the gateway's readers.

    `is_available` False lets no command through.
    """

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._readers: dict[str, OnRecords] = {}
        self._next_offset = 0
        self.is_available = True
        self.asked: list[Command] = []
        self.sent: list[Outgoing] = []
        self.committed: dict[int, int] = {}
        self.committer = OffsetCommitter(self._commit)
        self.connected = asyncio.Event()

    async def send_all(self, records: Sequence[Outgoing]) -> Sequence[asyncio.Future[Any]]:
        """Keep records; they are acknowledged at once."""
        self.sent += records
        return []

    async def ask(self, command: Command, wait_seconds: float) -> Answer | None:
        """Let `decide` answer, within `wait_seconds`."""
        await self.check()
        self.asked.append(command)
        async with asyncio.timeout(wait_seconds):
            outcome = await self._decide(command)
        return None if outcome is None else answer_of(outcome)

    async def connect(self, readers: Readers) -> None:
        """Take the readers that `deliver` hands records to."""
        self._readers = {
            EVENTS.name: readers.events,
            CATALOG.name: readers.catalog,
            PARTIALS.name: readers.partial_output,
        }
        self.connected.set()

    async def join(self) -> None:
        """Join at once."""

    async def check(self) -> None:
        """Raise BrokerUnavailable while the broker is not available."""
        if not self.is_available:
            raise BrokerUnavailable("unavailable")

    async def settle(self) -> None:
        """Commit the offsets of what was written."""
        await self.committer.settle()

    async def stop(self) -> None:
        """Disconnect at once."""

    async def deliver(self, topic: Topic, *values: bytes | None, key: bytes | None = None) -> None:
        """Hand a batch of records to the reader of `topic`, as soon as the gateway is connected."""
        await self.connected.wait()
        first, self._next_offset = self._next_offset, self._next_offset + len(values)
        await self._readers[topic.name](
            [MemoryRecord(topic.name, 0, first + n, key, value) for n, value in enumerate(values)]
        )

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        self.committed |= offsets


def memory_adapters(broker: MemoryBroker, tables: MemoryTables, now: Now = utc_now) -> Adapters:
    """Return adapters in memory around a broker and tables of the test's own."""
    database, keys, people = MemoryDatabase(tables), MemoryKeys(), MemoryPeople()
    return Adapters(
        database,
        tables,
        tables,
        MemoryArtifacts(database),
        MemoryDrafts(database),
        keys,
        MemorySessions(keys),
        MemoryAbsences(keys, people),
        people,
        MemorySecrets(),
        broker,
        now,
    )
