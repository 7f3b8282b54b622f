"""One PostgreSQL for the gateway: a small pool for reads, and pings that tell at any moment whether it takes writes.

Knows nothing of what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg
import structlog

from chassis.postgres.connections import ConnectionPool, DedicatedConnection, within
from gateway.adapters.postgres.connections import ANSWER_SECONDS, QUERY_SECONDS, connector, driver_errors
from gateway.errors import DatabaseUnavailable, LedgerMissing, QueryTooSlow, SchemaMissing

POOL_SIZE = 8
PING_SECONDS = 1.0

_TABLES = (
    *("ledger.commits", "views.hitl_runs", "views.hitl_pending_approvals"),
    *("artifacts.blobs", "identity.api_keys", "identity.secrets", "desk.drafts"),
)
_SILENT = "PostgreSQL does not answer"
_log = structlog.get_logger(__name__)


class PostgresDatabase:
    """The pool and the pings. `prepare` brings the schemas up to date, each time that the server answers anew or lacks a table."""

    def __init__(self, url: str, prepare: Callable[[str], Awaitable[None]]) -> None:
        self._url = url
        self._prepare = prepare
        self._pings = DedicatedConnection(connector(url), ANSWER_SECONDS)
        self._doubted = asyncio.Event()
        self._is_prepared = False
        self._outage: DatabaseUnavailable | None = DatabaseUnavailable("not connected yet")
        self._logged: DatabaseUnavailable | None = None
        self.pool = ConnectionPool(connector(url), POOL_SIZE, QUERY_SECONDS)

    @property
    def is_unavailable(self) -> bool:
        """Whether the last ping failed, or none has been made."""
        return self._outage is not None

    async def start(self) -> None:
        """Connect and ping once. An unavailable database is no reason not to start."""
        await self.pool.open()
        await self._ping()

    async def stop(self) -> None:
        """Close all connections."""
        self._pings.close()
        self.pool.close()

    async def watch(self) -> None:
        """Ping for ever: each second, and at once after a query that was not answered."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await self._doubted.wait()
            self._doubted.clear()
            await self._ping()

    async def check(self) -> None:
        """Raise DatabaseUnavailable, with its reason, unless the last ping found a server that takes writes."""
        if self._outage is not None:
            raise type(self._outage)(str(self._outage))

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn the driver's errors into the gateway's; after DatabaseUnavailable, ping at once.

        Raises DatabaseUnavailable before anything is tried while the last ping failed: no request waits for a server that hangs.
        """
        if self._outage is not None:
            raise type(self._outage)(LedgerMissing.__doc__ if isinstance(self._outage, LedgerMissing) else _SILENT)
        try:
            with driver_errors():
                yield
        except DatabaseUnavailable as error:
            # What others ask is answered as before, unless the ping finds that it is not.
            self._is_prepared = self._is_prepared and not isinstance(error, SchemaMissing)
            self._doubted.set()
            raise

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows of a query. Raises DatabaseUnavailable, ValuesRefused."""
        with self.guard():
            return await self.pool.fetch(query, *values)

    async def fetch_planned(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows of a query that is planned for these values. Raises DatabaseUnavailable, ValuesRefused."""
        with self.guard():
            return await self.pool.fetch_planned(query, *values)

    async def _ping(self) -> None:
        try:
            with driver_errors():
                if not self._is_prepared or not await self._has_tables():
                    await within(ANSWER_SECONDS, self._pings.check())
                    await self._prepare(self._url)
                    await within(ANSWER_SECONDS, self._pings.check(*_TABLES))
        except DatabaseUnavailable as error:
            await self._note(DatabaseUnavailable(_SILENT) if isinstance(error, QueryTooSlow) else error)
        else:
            await self._note(None)

    async def _has_tables(self) -> bool:
        try:
            await within(ANSWER_SECONDS, self._pings.check(*_TABLES))
        except asyncpg.UndefinedTableError:
            return False
        return True

    async def _note(self, outage: DatabaseUnavailable | None) -> None:
        if outage is not None and self._outage is None:
            await self.pool.retire()
        if type(outage) is not type(self._logged):
            if isinstance(outage, LedgerMissing):
                _log.warning("waiting for the ledger")
            elif outage is not None:
                _log.warning("PostgreSQL cannot serve", reason=str(outage))
            else:
                _log.info("PostgreSQL answers")
        self._outage = self._logged = outage
        self._is_prepared = outage is None
