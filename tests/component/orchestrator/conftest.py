"""A ledger on a database of its own, and owners of partitions over it that publish into memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from messaging.offset_committer import OffsetCommitter
from orchestrator.adapters.memory.ledger import MemoryDatabase, MemoryLedger
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.intake.intake import Intake
from orchestrator.ports import Ledger, LookUp, Store, know_nothing
from orchestrator.runs.aggregate import RUN
from testkit.kafka.memory_publisher import MemoryPublisher, Publications
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.postgres.unreliable import TABLES, execute
from testkit.runs.command_records import Record

LOG = "log"

MakeLedger = Callable[[], PostgresLedger]


@pytest_asyncio.fixture
async def ledger_url(module_postgres_url: str) -> str:
    """Give the URL of a database with the ledger's tables, empty."""
    return await emptied(module_postgres_url)


async def emptied(url: str) -> str:
    """Make the ledger's tables and empty them; return the database's URL."""
    await make_ledger_tables(url)
    tables = ", ".join(f"ledger.{table}" for table in TABLES if table != "events")
    await execute(url, f"TRUNCATE {tables} RESTART IDENTITY")
    return url


@pytest_asyncio.fixture
async def make_ledger(ledger_url: str) -> AsyncIterator[MakeLedger]:
    """Make ledgers on one database, each with a connection of its own, as several processes have."""
    made: list[PostgresLedger] = []

    def make() -> PostgresLedger:
        ledger = PostgresLedger(ledger_url, LOG, RUN)
        made.append(ledger)
        return ledger

    yield make
    for ledger in made:
        await ledger.close()


MakeStore = Callable[[], Store]


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def make_store(request: pytest.FixtureRequest, module_postgres_url: str) -> AsyncIterator[MakeStore]:
    """Make ledgers of several owners, each once in memory and once on PostgreSQL: the suite of the port."""
    if request.param == "memory":
        database = MemoryDatabase()
        yield lambda: MemoryLedger(database, LOG, RUN)
        return
    url = await emptied(module_postgres_url)
    made: list[PostgresLedger] = []

    def make() -> Store:
        made.append(PostgresLedger(url, LOG, RUN))
        return made[-1]

    yield make
    for ledger in made:
        await ledger.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """Give a ledger, in memory and on PostgreSQL."""
    return make_store()


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> PostgresLedger:
    """Give a ledger."""
    return make_ledger()


class Owner:
    """One owner of partitions: an intake that publishes into memory, with the task that confirms."""

    def __init__(self, ledger: Ledger, look_up: LookUp = know_nothing) -> None:
        self.ledger = ledger
        self.publisher = MemoryPublisher()
        self.committed: list[Mapping[int, int]] = []
        self.confirming = OffsetCommitter(self._commit)
        self.intake = Intake(RUN, ledger, self.publisher, self.confirming, lambda: datetime.now(UTC), look_up=look_up)
        self.following = asyncio.create_task(self.confirming.track())

    async def take(self, records: Sequence[Record]) -> Publications:
        """Take in one batch; return what it published."""
        await self.intake.on_records(records)
        return self.publisher.take()

    async def end(self) -> None:
        """End as a crash would: nothing more is confirmed."""
        self.following.cancel()
        await asyncio.wait([self.following])

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.append(dict(offsets))


MakeOwner = Callable[..., Owner]


@pytest_asyncio.fixture
async def make_owner(make_ledger: MakeLedger) -> AsyncIterator[MakeOwner]:
    """Make owners on one database; give one a ledger to replace its own."""
    made: list[Owner] = []

    def make(ledger: Ledger | None = None, look_up: LookUp = know_nothing) -> Owner:
        owner = Owner(ledger or make_ledger(), look_up)
        made.append(owner)
        return owner

    yield make
    for owner in made:
        await owner.end()


@pytest_asyncio.fixture
async def owner(make_owner: MakeOwner) -> Owner:
    """Give an owner."""
    return make_owner()
