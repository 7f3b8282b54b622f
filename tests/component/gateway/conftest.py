"""The gateway with everything around it: all services on a real Kafka and PostgreSQL, and a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_stack.postgres.server import Postgres
from testkit.kafka.servers import Kafka
from testkit.postgres.servers import fresh_database
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User

from .people_site import People, people_at

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
