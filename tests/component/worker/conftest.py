"""Fixtures of the worker's component tests: the real Kafka with a listener on it, fake vendors, one running worker a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fake_vendors.faults import FakeServer
from fake_vendors.openai import FakeOpenAI
from provider_worker.adapters.postgres.database import MIGRATIONS, Database
from testkit.postgres.ledger_tables import empty_tables

from .running_worker import KEY, KafkaBench, RunningWorker, kafka_bench_on, serving, worker_on


@pytest_asyncio.fixture(scope="module")
async def kafka(kafka_bootstrap: str) -> AsyncIterator[KafkaBench]:
    """Listen on the real Kafka."""
    async with kafka_bench_on(kafka_bootstrap) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def fake(request: pytest.FixtureRequest) -> FakeServer:
    """Give the memory of the module's fake vendor, whose class the module names as `FAKE`."""
    fake: FakeServer = request.module.FAKE()
    return fake


@pytest_asyncio.fixture(scope="module")
async def url(fake: FakeServer) -> AsyncIterator[str]:
    """Serve the module's fake vendor on loopback and give its base URL."""
    async with serving(fake.app()) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def vendor_calls() -> FakeOpenAI:
    """Give the memory of the module's fake OpenAI."""
    return FakeOpenAI()


@pytest_asyncio.fixture(scope="module")
async def vendor_url(vendor_calls: FakeOpenAI) -> AsyncIterator[str]:
    """Serve the fake OpenAI on loopback and give its base URL."""
    async with serving(vendor_calls.app()) as url:
        yield f"{url}/v1"


@pytest_asyncio.fixture(scope="module")
async def worker(kafka: KafkaBench, module_postgres_url: str, vendor_url: str) -> AsyncIterator[RunningWorker]:
    """Run the module's worker, with the fake OpenAI as its vendor."""
    settings = {"openai_base_url": vendor_url, "openai_api_key": KEY}
    async with worker_on(kafka.bootstrap, module_postgres_url, **settings) as worker:
        await worker.until_ready()
        yield worker


@pytest_asyncio.fixture(scope="module")
async def module_database(module_postgres_url: str) -> AsyncIterator[Database]:
    """Open a database with the worker's tables."""
    database = Database(module_postgres_url)
    await database.open()
    yield database
    database.close()


@pytest_asyncio.fixture
async def database(module_database: Database, module_postgres_url: str) -> Database:
    """Give the module's database to one test: its tables are empty."""
    await empty_tables(module_postgres_url, *MIGRATIONS)
    return module_database
