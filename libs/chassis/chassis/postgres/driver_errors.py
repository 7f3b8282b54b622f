"""What asyncpg's errors say: of the server, of the connection they came on, and to a person."""

from __future__ import annotations

import asyncpg

from chassis.postgres.sqlstates import hint_for, retires_connection

UNAVAILABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
)
"""The same statement may do better later, unless `is_refusal_of_value`."""

NOT_MIGRATED = (
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)
"""The server answers, and its schemas are about to be made or brought up to date."""


def is_refusal_of_value(error: BaseException) -> bool:
    """Return whether the driver cannot send a value. Its error is an InterfaceError too."""
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def is_refusal_of_connection(error: BaseException) -> bool:
    """Return whether an error is its connection's, and not its statement's."""
    if isinstance(error, asyncpg.PostgresError):
        return retires_connection(error.sqlstate)
    return isinstance(error, OSError | asyncpg.InternalClientError) and not isinstance(error, TimeoutError)


def reason_of(error: BaseException) -> str:
    """Return what an operator is told: what can be done about it, else what the driver says."""
    hint = hint_for(error.sqlstate) if isinstance(error, asyncpg.PostgresError) else None
    return hint or str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
