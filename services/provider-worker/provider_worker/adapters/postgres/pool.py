"""The worker's connections to PostgreSQL, and the one place where the driver's errors become the worker's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg

from artifacts.store import ArtifactStore
from provider_worker.adapters.postgres import budget_queries as spending_queries
from provider_worker.adapters.postgres import queries
from provider_worker.adapters.postgres import reservation_queries as booking_queries
from provider_worker.ports import StorageUnavailable

_MAX_CONNECTIONS = 8
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 20

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


async def create_pool(url: str) -> Pool:
    """Make a pool that connects when it is first used, so that the worker starts while the database is away."""
    pool: Pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=_MAX_CONNECTIONS,
        timeout=_CONNECT_SECONDS,
        command_timeout=_STATEMENT_SECONDS,
        reset=_leave_as_it_is,
        server_settings={"application_name": "sayso-provider-worker"},
    )
    return pool


@contextlib.asynccontextmanager
async def speaking() -> AsyncIterator[None]:
    """Turn whatever the driver raises into StorageUnavailable."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise StorageUnavailable(f"{type(error).__name__}: {error}") from error


async def ensure_schema(pool: Pool) -> None:
    """Make the tables of the worker and of the artifact store where they are missing. Raises StorageUnavailable."""
    async with speaking():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(queries.LOCK)
            await connection.execute(queries.SCHEMA)
            await connection.execute(spending_queries.SCHEMA)
            await connection.execute(booking_queries.SCHEMA)
        await ArtifactStore(pool).ensure_schema()


async def check(pool: Pool) -> None:
    """Return when the database answers. Raises StorageUnavailable."""
    async with speaking():
        await pool.fetchval(queries.ALIVE)


async def _leave_as_it_is(_: Any) -> None:
    # The pool's own reset is a round trip after every statement, and no statement here leaves anything behind.
    return
