"""Fixtures of identity's component tests: a pool on a real PostgreSQL with the schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from chassis.postgres.connections import ConnectionPool, Connector
from chassis.postgres.migrations import migrate


@pytest_asyncio.fixture(scope="module")
async def pool(module_postgres_url: str) -> AsyncIterator[ConnectionPool]:
    """Give a pool on a database with the tables."""
    await asyncio.to_thread(migrate, module_postgres_url, {"identity": "identity.migrations"})
    pool = ConnectionPool(Connector(module_postgres_url, "tests", 5.0), 20, 20.0)
    await pool.open()
    yield pool
    pool.close()
