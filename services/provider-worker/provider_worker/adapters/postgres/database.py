"""The worker's connections to PostgreSQL. The driver's errors become DatabaseUnavailable here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from chassis.postgres.connections import ConnectionPool, Connector, DedicatedConnection
from chassis.postgres.driver_errors import NOT_MIGRATED, UNAVAILABLE, is_refusal_of_value, reason_of
from chassis.postgres.migrations import SchemaUnavailable, migrate
from chassis.postgres.named_queries import named_queries
from provider_worker.errors import DatabaseUnavailable

MIGRATIONS = {"worker": f"{__package__}.migrations", "artifacts": "artifacts.migrations"}
"""The packages of migrations, by schema."""

QUERIES = named_queries(__package__)

_MAX_CONNECTIONS = 8
_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 20.0
_ANSWER_SECONDS = 2.0

_TABLES = ("worker.claims", "worker.limits", "worker.budgets", "artifacts.blobs")


class Database:
    """A pool that connects when it is first used, so that a worker starts while PostgreSQL is unavailable."""

    def __init__(self, url: str) -> None:
        self._url = url
        connector = Connector(url, "sayso-provider-worker", _CONNECT_SECONDS)
        self._pool = ConnectionPool(connector, _MAX_CONNECTIONS, _STATEMENT_SECONDS)
        self._checks = DedicatedConnection(Connector(url, "sayso-provider-worker", _ANSWER_SECONDS), _ANSWER_SECONDS)
        self._is_open = False
        self._migrating = asyncio.Lock()

    @property
    def pool(self) -> ConnectionPool:
        """The pool. Raises DatabaseUnavailable before `connect`."""
        if not self._is_open:
            raise DatabaseUnavailable("not connected yet")
        return self._pool

    async def connect(self) -> None:
        """Make the pool."""
        if not self._is_open:
            await self._pool.open()
            self._is_open = True

    async def open(self) -> None:
        """Make the pool, and bring the worker's and the artifacts' tables up to date. Raises DatabaseUnavailable."""
        await self.connect()
        async with unavailable_errors():
            await self._migrate()

    async def check(self) -> None:
        """Return when the database takes writes and has the tables. Raises DatabaseUnavailable."""
        async with self.errors():
            await self._checks.check(*_TABLES)

    @contextlib.asynccontextmanager
    async def errors(self) -> AsyncIterator[None]:
        """Turn the drivers' errors within into DatabaseUnavailable. Tables that are missing are made for the next try."""
        async with unavailable_errors():
            try:
                yield
            except NOT_MIGRATED:
                await self._migrate()
                raise

    def close(self) -> None:
        """Disconnect at once."""
        self._checks.close()
        self._pool.close()

    async def _migrate(self) -> None:
        async with self._migrating:
            await asyncio.to_thread(migrate, self._url, MIGRATIONS)


@contextlib.asynccontextmanager
async def unavailable_errors() -> AsyncIterator[None]:
    """Turn the drivers' errors within into DatabaseUnavailable."""
    try:
        yield
    except (*UNAVAILABLE, *NOT_MIGRATED, SchemaUnavailable) as error:
        if is_refusal_of_value(error):
            raise  # our own fault, which no other try mends
        raise DatabaseUnavailable(reason_of(error)) from error
