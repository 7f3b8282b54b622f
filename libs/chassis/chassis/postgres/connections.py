"""Connections on asyncpg that do not outlive their use: one that is refused as such is closed, and those beside it with it.

Knows nothing of what is stored, and turns no driver's error into another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import asyncpg

from chassis.postgres.database_url import parse_database_url
from chassis.postgres.driver_errors import is_refusal_of_connection

_T = TypeVar("_T")

Lent: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

CANCEL_SECONDS = 2.0
"""How long a connection may take to cancel a statement that took too long, before it is closed."""

LOOKS = 20

_ABLE = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only,
       ARRAY(SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL) AS missing
"""

_FINAL = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""Answers of a server that is up: another host would not answer better."""


class NoAnswer(ConnectionError):
    """A server is silent while it is connected to."""


class _Connection(asyncpg.Connection):
    """Closes at once: the driver's own farewell waits for a server that may be gone, in a task that nothing awaits."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002 - the driver's signature
        self.terminate()


class Connector:
    """Makes connections to the first host that takes writes, beginning with the one that did last."""

    def __init__(self, url: str, application: str, seconds: float) -> None:
        self._url = parse_database_url(url)
        self._application = application
        self._seconds = self._url.connect_seconds or seconds
        self._hosts = deque(self._url.hosts)

    @property
    def is_pooled(self) -> bool:
        """Whether each transaction may meet another session."""
        return self._url.is_pooled

    @property
    def patience(self) -> float:
        """The seconds after which every host has been tried."""
        return self._seconds * len(self._hosts)

    async def connect(self, statement_seconds: float) -> asyncpg.Connection:
        """Return a new connection. Raises what the driver raises, of several hosts the most telling."""
        failures: list[Exception] = []
        for _ in range(len(self._hosts)):
            host = self._hosts[0]
            try:
                return await asyncpg.connect(
                    **self._url.for_asyncpg(host, application_name=self._application),
                    timeout=self._seconds,
                    command_timeout=statement_seconds,
                    connection_class=_Connection,
                )
            except BaseException as error:
                # Also when the caller waits no longer: the next attempt begins with the next host.
                if self._hosts[0] is host:
                    self._hosts.rotate(-1)
                if isinstance(error, _FINAL) or not isinstance(error, Exception):
                    raise
                failures.append(self._plain(error))
        raise next((one for one in failures if not isinstance(one, OSError)), failures[-1])

    def _plain(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            # A time limit of the connection is no time limit of a statement: callers tell them apart.
            return NoAnswer(f"no answer within {self._seconds:g} s")
        if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
            return asyncpg.ReadOnlySQLTransactionError("the server takes no writes")
        return error


class ConnectionPool:
    """Lends connections. They carry no session state, so that giving one back costs no round trip."""

    def __init__(self, connector: Connector, size: int, statement_seconds: float) -> None:
        self._connector = connector
        self._size = size
        self._statement_seconds = statement_seconds
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Make the pool. Nothing connects before the first use."""
        self._pool = await asyncpg.create_pool(
            min_size=0,
            max_size=self._size,
            connect=self._connect,
            connection_class=_Connection,
            reset=_nothing_to_reset,
        )

    def close(self) -> None:
        """Disconnect at once."""
        if self._pool is not None:
            self._pool.terminate()

    async def retire(self) -> None:
        """Use no present connection again: the server they lead to is not the one that it was."""
        if self._pool is not None:
            await self._pool.expire_connections()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Lent]:
        """Lend a connection; wait as long as for another's statement, and to connect. Raises what the driver raises."""
        assert self._pool is not None, "open() comes first"
        async with asyncio.timeout(self._statement_seconds + self._connector.patience):
            lent: Lent = await self._pool.acquire()
        try:
            if self._connector.is_pooled:
                async with lent.transaction():
                    yield lent
            else:
                yield lent
        except BaseException as error:
            if is_refusal_of_connection(error):
                with suppress(asyncpg.InterfaceError):  # the driver may have closed it already
                    lent.terminate()
                await self.retire()
            raise
        finally:
            with suppress(TimeoutError, asyncpg.InterfaceError, OSError):
                await self._pool.release(lent, timeout=CANCEL_SECONDS)

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows of a query."""
        async with self.acquire() as connection:
            return list(await connection.fetch(query, *values))

    async def fetch_planned(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows of a query that is planned for these values: one plan for any values could be a hundred times as slow.

        `fetch` keeps its statements prepared, and PostgreSQL plans a prepared one for any values after some calls.
        """
        async with self.acquire() as connection:
            if self._connector.is_pooled:  # nothing is kept prepared behind a proxy
                return list(await connection.fetch(query, *values))
            return list(await (await connection.prepare(query)).fetch(*values))

    async def fetchrow(self, query: str, *values: Any) -> asyncpg.Record | None:
        """Return the first row of a query, or None."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *values)

    async def fetchval(self, query: str, *values: Any) -> Any:
        """Return the first value of the first row."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *values)

    async def execute(self, query: str, *values: Any) -> str:
        """Execute a statement; return the server's word on it."""
        async with self.acquire() as connection:
            return str(await connection.execute(query, *values))

    async def _connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        return await self._connector.connect(self._statement_seconds)


class DedicatedConnection:
    """A connection that belongs to one loop and is made anew after a loss."""

    def __init__(self, connector: Connector, statement_seconds: float) -> None:
        self._connector = connector
        self._statement_seconds = statement_seconds
        self._connection: asyncpg.Connection | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """Yield the connection; close it after an error, unless a statement alone was refused. Raises what the driver raises."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connector.connect(self._statement_seconds)
            if self._connector.is_pooled:
                async with self._connection.transaction():
                    yield self._connection
            else:
                yield self._connection
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError) or is_refusal_of_connection(error):
                self.close()
            raise

    async def check(self, *tables: str) -> None:
        """Return when the server takes writes and has these tables.

        Raises what the driver raises, its ReadOnlySQLTransactionError and UndefinedTableError among it.
        """
        async with self.use() as connection:
            able = await connection.fetchrow(_ABLE, list(tables))
            assert able is not None, "a query without FROM has a row"
            if able["read_only"]:
                raise asyncpg.ReadOnlySQLTransactionError("the server takes no writes")
            if able["missing"]:
                raise asyncpg.UndefinedTableError(f"the database has no table {', '.join(able['missing'])}")

    def close(self) -> None:
        """Disconnect at once. A transaction under way is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def within(seconds: float, asked: Awaitable[_T]) -> _T:
    """Await an answer for so long, time in which our own loop stood still not counted. Raises TimeoutError."""
    asking = asyncio.ensure_future(asked)
    asking.add_done_callback(_forget_error)
    try:
        for _ in range(LOOKS):
            done, _ = await asyncio.wait([asking], timeout=seconds / LOOKS)
            if done:
                return asking.result()
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.wait([asking], timeout=seconds / LOOKS)  # the next question must not meet this one
    raise TimeoutError(f"no answer within {seconds:g} s")


def _forget_error(asked: asyncio.Future[Any]) -> None:
    if not asked.cancelled():
        asked.exception()


async def _nothing_to_reset(_: Any) -> None:
    return
