"""The worker's connections to PostgreSQL. The driver's errors become DatabaseUnavailable here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg

from chassis.postgres.migrations import SchemaUnavailable, migrate
from chassis.postgres.named_queries import named_queries
from provider_worker.errors import DatabaseUnavailable

MIGRATIONS = {"worker": f"{__package__}.migrations", "artifacts": "artifacts.migrations"}
"""The packages of migrations, by schema."""

QUERIES = named_queries(__package__)

_MAX_CONNECTIONS = 8
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 20

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Database:
    """A pool that connects when it is first used, so that a worker starts while PostgreSQL is unavailable."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        """The pool. Raises DatabaseUnavailable before `connect`."""
        if self._pool is None:
            raise DatabaseUnavailable("not connected yet")
        return self._pool

    async def connect(self) -> None:
        """Make the pool."""
        if self._pool is None:
            self._pool = await _create_pool(self._url)

    async def open(self) -> None:
        """Make the pool, and bring the worker's and the artifacts' tables up to date. Raises DatabaseUnavailable."""
        await self.connect()
        async with unavailable_errors():
            await asyncio.to_thread(migrate, self._url, MIGRATIONS)

    async def check(self) -> None:
        """Return when the database answers. Raises DatabaseUnavailable."""
        async with unavailable_errors():
            await self.pool.fetchval(QUERIES["alive"])

    def close(self) -> None:
        """Disconnect at once."""
        if self._pool is not None:
            self._pool.terminate()


@contextlib.asynccontextmanager
async def unavailable_errors() -> AsyncIterator[None]:
    """Turn the drivers' errors within into DatabaseUnavailable."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SchemaUnavailable, TimeoutError) as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


async def _create_pool(url: str) -> Pool:
    pool: Pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=_MAX_CONNECTIONS,
        timeout=_CONNECT_SECONDS,
        command_timeout=_STATEMENT_SECONDS,
        reset=_no_reset,
        server_settings={"application_name": "sayso-provider-worker"},
    )
    return pool


async def _no_reset(_: Any) -> None:
    # The pool's own reset is a round trip after every statement, and no statement here leaves anything behind.
    return
