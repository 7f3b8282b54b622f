"""One PostgreSQL for the gateway: a small pool for reads, connections of their own for loops, and whether it answers.

Knows nothing of what is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import structlog

from gateway.ports import Away, Unfit

POOL_SIZE = 8
PING_SECONDS = 1.0
ANSWER_SECONDS = 2.0
"""A server that is silent for longer counts as away."""
QUERY_SECONDS = 10.0

_SILENT = "PostgreSQL does not answer"
_log = structlog.get_logger(__name__)


class Database:
    """Knows at any moment whether PostgreSQL answers. `prepare` makes the tables, whenever it begins to or a query failed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool | None = None
        self._pings = Dedicated(url, ANSWER_SECONDS)
        self._doubted = asyncio.Event()
        self._answering = asyncio.Event()
        self.prepare: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_away(self) -> bool:
        """Whether the last ping failed, or none has been made."""
        return not self._answering.is_set()

    @property
    def pool(self) -> asyncpg.Pool:
        """The connections for reads. They carry no session state, so that returning one costs no round trip."""
        assert self._pool is not None, "start() comes first"
        return self._pool

    async def start(self) -> None:
        """Look once. A database that is away is no reason not to start."""
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
        """Close all connections of the pool."""
        await self._pings.close()
        if self._pool is not None:
            self._pool.terminate()

    async def watch(self) -> None:
        """Ping for ever: each second, and at once when a query was not answered."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await self._doubted.wait()
            doubted = self._doubted.is_set()
            self._doubted.clear()
            await self._ping(doubted=doubted)

    async def check(self) -> None:
        """Raise Away unless the last ping was answered."""
        if self.is_away:
            raise Away(_SILENT)

    async def wait_until_here(self, seconds: float) -> None:
        """Return when PostgreSQL answers, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answering.wait()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Raise Away in place of the driver's many ways to say so, and look at once whether it is true.

        Where it is known, nothing is tried: nobody waits for a server that hangs.
        """
        if self.is_away:
            raise Away(_SILENT)
        try:
            with translated():
                yield
        except Away:
            self._doubted.set()
            raise

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows of a query. Raises Away, Unfit."""
        with self.asking():
            return list(await self.pool.fetch(query, *values))

    async def _ping(self, *, doubted: bool = False) -> None:
        try:
            with translated():
                async with asyncio.timeout(ANSWER_SECONDS):
                    await (await self._pings.connection()).fetchval("select 1")
                if self.is_away or doubted:
                    for make_tables in self.prepare:
                        await make_tables()
        except Away as error:
            if not self.is_away:
                _log.warning("PostgreSQL is away", reason=str(error))
            self._answering.clear()
        else:
            if self.is_away:
                _log.info("PostgreSQL answers")
            self._answering.set()


class Dedicated:
    """A connection that belongs to one loop, and comes back by itself. A pool would send a reset after each use."""

    def __init__(self, url: str, query_seconds: float = QUERY_SECONDS) -> None:
        self._url = url
        self._query_seconds = query_seconds
        self._connection: asyncpg.Connection | None = None

    async def connection(self) -> asyncpg.Connection:
        """Return the connection, made anew if it was lost. Raises what the driver raises."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url, timeout=ANSWER_SECONDS, command_timeout=self._query_seconds
            )
        return self._connection

    async def close(self) -> None:
        """Leave. What was under way is rolled back."""
        if self._connection is not None:
            self._connection.terminate()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into the two that matter here. Others are bugs, and pass."""
    try:
        yield
    except _UNFIT as error:
        raise Unfit(str(error)) from error
    except _AWAY as error:
        # The driver's own refusal of a value is both of these.
        if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
            raise Unfit(str(error)) from error
        raise Away(str(error) or type(error).__name__) from error


_UNFIT = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, asyncpg.IntegrityConstraintViolationError)
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    # The server answers again, and the tables are about to be made.
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
)


async def _nothing_to_reset(_: Any) -> None:
    return
