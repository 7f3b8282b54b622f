"""One PostgreSQL for the gateway: a small pool for reads, and pings that tell at any moment whether it answers.

Knows nothing of what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg
import structlog

from gateway.adapters.postgres.connections import ANSWER_SECONDS, QUERY_SECONDS, DedicatedConnection, driver_errors
from gateway.errors import DatabaseUnavailable, LedgerMissing

POOL_SIZE = 8
PING_SECONDS = 1.0

_SILENT = "PostgreSQL does not answer"
_log = structlog.get_logger(__name__)


class PostgresDatabase:
    """The pool and the pings. `prepare` brings the schemas up to date, each time that the server answers anew or a query failed."""

    def __init__(self, url: str, prepare: Callable[[str], Awaitable[None]]) -> None:
        self._url = url
        self._prepare = prepare
        self._pool: asyncpg.Pool | None = None
        self._pings = DedicatedConnection(url, ANSWER_SECONDS)
        self._doubted = asyncio.Event()
        self._outage: type[DatabaseUnavailable] | None = DatabaseUnavailable
        self._logged: type[DatabaseUnavailable] | None = None

    @property
    def is_unavailable(self) -> bool:
        """Whether the last ping failed, or none has been made."""
        return self._outage is not None

    @property
    def pool(self) -> asyncpg.Pool:
        """The connections for reads. They carry no session state, so that returning one costs no round trip."""
        assert self._pool is not None, "start() comes first"
        return self._pool

    async def start(self) -> None:
        """Connect and ping once. An unavailable database is no reason not to start."""
        self._pool = asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=POOL_SIZE,
            timeout=ANSWER_SECONDS,
            command_timeout=QUERY_SECONDS,
            reset=_nothing_to_reset,
        )
        await self._pool
        await self._ping()

    async def stop(self) -> None:
        """Close all connections."""
        await self._pings.close()
        if self._pool is not None:
            self._pool.terminate()

    async def watch(self) -> None:
        """Ping for ever: each second, and at once after a query that was not answered."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await self._doubted.wait()
            doubted = self._doubted.is_set()
            self._doubted.clear()
            await self._ping(doubted=doubted)

    async def check(self) -> None:
        """Raise DatabaseUnavailable unless the last ping was answered."""
        self._check()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn the driver's errors into the gateway's; after DatabaseUnavailable, ping at once.

        Raises DatabaseUnavailable before anything is tried while the last ping failed: no request waits for a server that hangs.
        """
        self._check()
        try:
            with driver_errors():
                yield
        except DatabaseUnavailable:
            self._doubted.set()
            raise

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows of a query. Raises DatabaseUnavailable, ValuesRefused."""
        with self.guard():
            return list(await self.pool.fetch(query, *values))

    def _check(self) -> None:
        if self._outage is not None:
            raise self._outage(LedgerMissing.__doc__ if self._outage is LedgerMissing else _SILENT)

    async def _ping(self, *, doubted: bool = False) -> None:
        try:
            with driver_errors():
                async with asyncio.timeout(ANSWER_SECONDS):
                    await (await self._pings.get()).fetchval("SELECT 1")
                if self.is_unavailable or doubted:
                    await self._prepare(self._url)
        except DatabaseUnavailable as error:
            self._outage = type(error)
            if self._logged is not self._outage:
                waiting = self._outage is LedgerMissing
                _log.warning("waiting for the ledger" if waiting else _SILENT, reason=str(error))
        else:
            self._outage = None
            if self._logged is not None:
                _log.info("PostgreSQL answers")
        self._logged = self._outage


async def _nothing_to_reset(_: Any) -> None:
    return
