"""The schemas that the gateway owns, brought up to date by numbered migrations, once the ledger they refer to is there."""

from __future__ import annotations

import asyncio

from chassis.postgres.connections import DedicatedConnection
from chassis.postgres.migrations import SchemaUnavailable, migrate
from chassis.postgres.named_queries import named_queries
from gateway.adapters.postgres.connections import ANSWER_SECONDS, connector, driver_errors
from gateway.errors import DatabaseUnavailable, LedgerMissing

_MIGRATIONS = {
    "views": "gateway.adapters.postgres.migrations",
    "artifacts": "artifacts.migrations",
    "identity": "identity.migrations",
    "desk": "gateway.adapters.postgres.desk_migrations",
}
"""The packages of migrations, by schema."""


async def prepare_schemas(url: str) -> None:
    """Migrate the schemas above. Any number of processes may do so at once.

    Raises LedgerMissing while the orchestrator has not made the ledger, DatabaseUnavailable, NewerSchema.
    """
    await _check_ledger(url)
    try:
        await asyncio.to_thread(migrate, url, _MIGRATIONS)
    except SchemaUnavailable as error:
        raise DatabaseUnavailable(str(error)) from error


async def _check_ledger(url: str) -> None:
    dedicated = DedicatedConnection(connector(url), ANSWER_SECONDS)
    try:
        with driver_errors():
            async with dedicated.use() as connection:
                if not await connection.fetchval(named_queries(__package__)["ledger-is-there"]):
                    raise LedgerMissing(LedgerMissing.__doc__)
    finally:
        dedicated.close()
