"""The read model compared with one rebuilt from the topic alone, and the topic compared with the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from chaos.system.stage import Stage
from contracts.runs.event_header import EventHeader
from contracts.topics import EVENTS
from local_stack.wait import until
from messaging.client.resilient_consumer import ResilientConsumer
from testkit.kafka.topic_records import records_of
from testkit.runs.histories import postgres_append

SCRATCH = "from_nothing"

TABLES = {
    "hitl_runs": "run_id, tenant, version, state, session_id, user_id, created_at, updated_at, ended",
    "hitl_pending_approvals": "*",
    "hitl_approvals": "*",
}
"""The compared columns: all but `folded_on`, which depends on the batches that a row was made in."""

_Records = dict[tuple[UUID, int], bytes]


async def versions_of(stage: Stage) -> dict[UUID, int]:
    """Return each run's version in the ledger."""
    async with stage.sql() as sql:
        rows = await sql.fetch("SELECT run_id, max(version) FROM ledger.events GROUP BY run_id")
    return {row[0]: row[1] for row in rows}


async def views_differ(stage: Stage, wanted: Mapping[UUID, int]) -> list[str]:
    """Rebuild a read model from the topic alone, in a new database; return the differences from the live one.

    The live one must reach the `wanted` versions first. The topic's records must be the ledger's events, byte for byte.
    """
    reached: dict[UUID, int] = {}

    async def projected() -> bool:
        nonlocal reached
        async with stage.sql() as sql:
            reached = {row[0]: row[1] for row in await sql.fetch("SELECT run_id, version FROM views.hitl_runs")}
        return reached == wanted

    try:
        await until(projected, 20, "the read model has everything")
    except TimeoutError:
        return [f"{run_id}: {reached.get(run_id)} and not {wanted.get(run_id)}" for run_id in _unlike(reached, wanted)]
    stored, published = await _stored(stage), await _published(stage)
    url = await stage.postgres.create_database(SCRATCH)
    try:
        await postgres_append(url)([published[key] for key in sorted(published) if key in stored])
        await _rebuild(stage, url)
        live, rebuilt = await _dump(stage.database_url), await _dump(url)
    finally:
        await stage.postgres.drop_database(SCRATCH)
    unpublished = [
        f"the topic does not hold {key} as the ledger does" for key in stored if published.get(key) != stored[key]
    ]
    return unpublished + [f"{table} {key}" for table in TABLES for key in _unlike(live[table], rebuilt[table])]


async def _stored(stage: Stage) -> _Records:
    async with stage.sql() as sql:
        return {
            (row[0], row[1]): row[2] for row in await sql.fetch("SELECT run_id, version, record FROM ledger.events")
        }


async def _published(stage: Stage) -> _Records:
    """Read the topic from its beginning; skip malformed records and duplicates."""
    found: _Records = {}
    for record in await records_of(stage.bootstrap, EVENTS.name, ResilientConsumer):
        with contextlib.suppress(ValueError):
            header = EventHeader.parse(record.value or b"")
            found.setdefault((header.run_uuid, header.version), record.value)
    return found


async def _rebuild(stage: Stage, url: str) -> None:
    settings = {**os.environ, **stage.fleet.environment, "DATABASE_URL": url}
    rebuild = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "rebuild-views"),
        env=settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await rebuild.communicate()
    assert rebuild.returncode == 0, output.decode()


async def _dump(url: str) -> dict[str, dict[Any, Any]]:
    connection = await asyncpg.connect(url)
    try:
        rows = {
            table: await connection.fetch(f"SELECT {columns} FROM views.{table}")  # noqa: S608 - our own names
            for table, columns in TABLES.items()
        }
    finally:
        await connection.close()
    return {
        table: {(row[0], row[1]) if table != "hitl_runs" else row[0]: tuple(row) for row in found}
        for table, found in rows.items()
    }


def _unlike(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[Any]:
    return [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
