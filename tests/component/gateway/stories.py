"""The stories that tests of the read model tell, whose runs they are, and the database that they are told to."""

from __future__ import annotations

import asyncpg

from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.schema import prepare_schemas
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.runs.commands import approve, at_error_review, at_payload_review, executed, retry

TENANT = "default"
WAITING = at_payload_review()
FINISHED = WAITING.given(approve(), executed(), approve())
RETRIED = at_error_review().given(retry())


async def make_schemas(url: str) -> None:
    """Make the ledger and the gateway's schemas."""
    await make_ledger_tables(url)
    await prepare_schemas(url)


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Ask the database itself."""
    connection = await asyncpg.connect(url)
    try:
        if ";" in query:
            await connection.execute(query)
            return []
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def answers(database: PostgresDatabase) -> bool | None:
    """Tell whether the last ping was answered."""
    return None if database.is_unavailable else True
