"""The ledger's tables, as the orchestrator makes them, for tests of those who read them; and tables that are emptied for the next test."""

from __future__ import annotations

import asyncio
from importlib import resources

import asyncpg

from chassis.postgres.migrations import VERSION_TABLE, migrate

_MIGRATIONS = "orchestrator.adapters.postgres.migrations"
_VERSION = "SELECT version_num FROM ledger.schema_version"
_TABLES = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY($1) AND tablename <> $2"


async def make_ledger_tables(url: str) -> None:
    """Bring the schema `ledger` up to date. The process that does so, a second of a processor, begins only where it is not."""
    newest = max(file.name for file in resources.files(_MIGRATIONS).iterdir() if file.name.endswith(".sql"))
    if await _version(url) != newest.partition("_")[0]:
        await asyncio.to_thread(migrate, url, {"ledger": _MIGRATIONS})


async def empty_tables(url: str, *schemas: str) -> None:
    """Empty all tables of these schemas, whose versions stay."""
    connection = await asyncpg.connect(url)
    try:
        tables = [row[0] for row in await connection.fetch(_TABLES, schemas, VERSION_TABLE)]
        await connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
    finally:
        await connection.close()


async def _version(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        version: str | None = await connection.fetchval(_VERSION)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return None
    finally:
        await connection.close()
    return version
