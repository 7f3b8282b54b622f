"""Connections to PostgreSQL outside the pool, and the driver's errors as the gateway's. Knows nothing of what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from gateway.errors import DatabaseUnavailable, ValuesRefused

ANSWER_SECONDS = 2.0
"""A server that is silent for longer counts as unavailable."""

QUERY_SECONDS = 10.0


class DedicatedConnection:
    """A connection that belongs to one loop and is made anew after a loss. A pool would send a reset after each use."""

    def __init__(self, url: str, query_seconds: float = QUERY_SECONDS) -> None:
        self._url = url
        self._query_seconds = query_seconds
        self._connection: asyncpg.Connection | None = None

    async def get(self) -> asyncpg.Connection:
        """Return the connection. Raises what the driver raises."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url, timeout=ANSWER_SECONDS, command_timeout=self._query_seconds
            )
        return self._connection

    async def close(self) -> None:
        """Disconnect. A transaction under way is rolled back."""
        if self._connection is not None:
            self._connection.terminate()


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn the driver's errors into DatabaseUnavailable and ValuesRefused. Others are bugs, and pass."""
    try:
        yield
    except _REFUSED as error:
        raise ValuesRefused(str(error)) from error
    except _UNAVAILABLE as error:
        # The driver's own refusal of a value is both an InterfaceError and a ValueError.
        if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
            raise ValuesRefused(str(error)) from error
        raise DatabaseUnavailable(str(error) or type(error).__name__) from error


_REFUSED = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, asyncpg.IntegrityConstraintViolationError)
_UNAVAILABLE = (
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
    # The server answers again, and its tables are about to be made.
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
)
