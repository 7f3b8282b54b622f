"""The ledger's one connection: made when needed, and the one place where the driver's errors become the ledger's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg

from chassis.postgres.connections import Connector, DedicatedConnection
from chassis.postgres.driver_errors import UNAVAILABLE, is_refusal_of_value, reason_of
from orchestrator.ports import Fenced, LedgerError, LedgerUnavailable

FENCED = "SY001"
"""The error code with which `ledger.fence` refuses a batch."""

CONNECT_SECONDS = 3.0


class Connection:
    """One connection to PostgreSQL, which takes one caller after the other, until it is closed."""

    def __init__(self, url: str, statement_seconds: float) -> None:
        self._dedicated = DedicatedConnection(Connector(url, "sayso-orchestrator", CONNECT_SECONDS), statement_seconds)
        self._turn = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """Yield the connection, made when there is none. Raises LedgerUnavailable or Fenced for what the driver says."""
        async with self._one_caller(), self._dedicated.use() as connection:
            self._refuse_if_closed()  # it may have been closed while it was made
            yield connection

    async def check(self, *tables: str) -> None:
        """Return when the server takes writes and has these tables. Raises LedgerUnavailable."""
        try:
            async with self._one_caller():
                await self._dedicated.check(*tables)
        except asyncpg.UndefinedTableError as error:
            raise LedgerUnavailable(str(error)) from error

    async def close(self, seconds: float) -> None:
        """Disconnect, from under a statement that takes longer than so many seconds: it raises LedgerUnavailable."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._turn:
                pass
        self._dedicated.close()

    @asynccontextmanager
    async def _one_caller(self) -> AsyncIterator[None]:
        async with self._turn:
            self._refuse_if_closed()
            try:
                with _own_errors():
                    yield
            finally:
                if self._closed:  # while it was being made
                    self._dedicated.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise LedgerError("the ledger is closed")


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise Fenced(str(error)) from error
    except UNAVAILABLE as error:
        if is_refusal_of_value(error):
            raise  # our own fault, which no other try mends
        raise LedgerUnavailable(reason_of(error)) from error
    except asyncpg.PostgresError as error:
        if error.sqlstate != FENCED:
            raise
        raise Fenced(str(error)) from error
