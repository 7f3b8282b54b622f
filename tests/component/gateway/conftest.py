"""The gateway with everything around it: all services on a real Kafka and PostgreSQL, and a client. And its read model alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.identity import Role
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.reader import PostgresViews
from gateway.adapters.postgres.schema import prepare_schemas
from gateway.adapters.postgres.writer import PostgresTables
from gateway.testing.memory import MemoryTables
from local_stack.postgres.server import Postgres
from testkit.identity_provider.browser import Browser
from testkit.kafka.servers import Kafka
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.postgres.servers import fresh_database
from testkit.runs.histories import memory_append, postgres_append
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User

from .credentials import key
from .memory_site import Site
from .people_site import People, people_at
from .read_model import Store

OUTCOME_WAIT_SECONDS = 2
"""Short, since tests wait it out."""


@pytest_asyncio.fixture(scope="module")
async def site(
    kafka_bootstrap: str, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Run the services for the tests of one module."""
    kafka = Kafka(kafka_bootstrap, embedded=False, log_id=None)
    settings = {"SAYSO_OUTCOME_WAIT_SECONDS": str(OUTCOME_WAIT_SECONDS)}
    async with (
        fresh_database(postgres_server) as url,
        running_stack(kafka, url, tmp_path_factory.mktemp("services"), settings) as stack,
    ):
        yield stack


@pytest_asyncio.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    """Run a gateway in memory that asks for credentials."""
    async with people_at(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def ada(site: Stack) -> AsyncIterator[User]:
    """Give a person who starts runs and decides them."""
    user = User(site.gateway_url, site.ws_url, "ada")
    async with user.http:
        yield user


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[Store]:
    """Give an empty read model, in memory and in PostgreSQL."""
    if request.param == "memory":
        memory = MemoryTables()
        yield Store(memory, memory, memory_append(memory))
        return
    await make_ledger_tables(postgres_url)
    tables, database = PostgresTables(postgres_url), PostgresDatabase(postgres_url, prepare_schemas)
    await database.start()
    yield Store(tables, PostgresViews(database), postgres_append(postgres_url))
    await tables.close()
    await database.stop()


@pytest_asyncio.fixture(params=["http", "https"])
async def browser(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Open a browser at a module's gateway in memory, under http and under https."""
    async with (opened := Browser(f"{request.param}://127.0.0.1", site.app)).http:
        yield opened


@pytest_asyncio.fixture
async def ann(site: Site, browser: Browser) -> Browser:
    """Give a browser in which ann, a reviewer, has signed in."""
    assert (await browser.sign_in_by_key(await key(site, "ann", Role.REVIEWER))).status_code == 303
    return browser
