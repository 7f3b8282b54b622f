"""A real PostgreSQL 18 for tests, with fsync on: one server a session, a new database for each test or module.

- `postgres_server`: the session's server, shared by all tests. Never stop it.
- `postgres_url`: the URL of an empty database, new for each test; `module_postgres_url` the same for each module.
- `private_postgres`: a server of the test's own, to stop, kill and start again on the same data and URL.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_stack.postgres.server import Postgres


@pytest_asyncio.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Run the session's PostgreSQL."""
    async with running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest_asyncio.fixture
async def postgres_url(postgres_server: Postgres) -> AsyncIterator[str]:
    """Give the URL of a new database."""
    async with fresh_database(postgres_server) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def module_postgres_url(postgres_server: Postgres) -> AsyncIterator[str]:
    """Give the URL of a database that the module's tests share."""
    async with fresh_database(postgres_server) as url:
        yield url


@pytest_asyncio.fixture
async def private_postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """Run a server that the test may stop, kill and start again: same data, same URL."""
    async with running(tmp_path) as server:
        yield server


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Postgres]:
    """Run a server on `folder`."""
    server = Postgres(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def fresh_database(server: Postgres, template: str = "template1") -> AsyncIterator[str]:
    """Create a database as a copy of `template`; drop it and end its connections afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    yield await server.create_database(name, template)
    await server.drop_database(name)
