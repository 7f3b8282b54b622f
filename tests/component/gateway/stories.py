"""The stories that tests of the read model tell, whose runs they are, and the database that they are told to."""

from __future__ import annotations

import asyncpg

from contracts.ledger_schema import record_sql
from gateway.adapters.postgres.schema import prepare_schemas
from testkit.runs.commands import approve, at_error_review, at_payload_review, executed, retry

TENANT = "default"
WAITING = at_payload_review()
FINISHED = WAITING.given(approve(), executed(), approve())
RETRIED = at_error_review().given(retry())


async def make_ledger(url: str) -> None:
    """Make the ledger as the orchestrator does at its start."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(record_sql())
    finally:
        await connection.close()


async def make_schemas(url: str) -> None:
    """Make the ledger and the gateway's schemas."""
    await make_ledger(url)
    await prepare_schemas(url)
