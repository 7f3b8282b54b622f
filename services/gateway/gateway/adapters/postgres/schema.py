"""The schemas that the gateway owns, brought up to date by numbered migrations, once the ledger they refer to is there."""

from __future__ import annotations

import asyncio

import asyncpg

from chassis.postgres.migrations import SchemaUnavailable, migrate
from chassis.postgres.named_queries import named_queries
from gateway.adapters.postgres.connections import ANSWER_SECONDS, driver_errors
from gateway.errors import DatabaseUnavailable, LedgerMissing

_MIGRATIONS = {"views": "gateway.adapters.postgres.migrations", "artifacts": "artifacts.migrations"}
"""The packages of migrations, by schema."""


async def prepare_schemas(url: str) -> None:
    """Migrate `views` and `artifacts`. Any number of processes may do so at once.

    Raises LedgerMissing while the orchestrator has not made the ledger, DatabaseUnavailable, NewerSchema.
    """
    await _check_ledger(url)
    try:
        await asyncio.to_thread(migrate, url, _MIGRATIONS)
    except SchemaUnavailable as error:
        raise DatabaseUnavailable(str(error)) from error


async def _check_ledger(url: str) -> None:
    with driver_errors():
        connection = await asyncpg.connect(url, timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS)
        try:
            if not await connection.fetchval(named_queries(__package__)["ledger-is-there"]):
                raise LedgerMissing(LedgerMissing.__doc__)
        finally:
            connection.terminate()
