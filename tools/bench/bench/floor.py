"""The floor: the least durable work for the same runs, in plain asyncpg. No broker, no rules, no HTTP, no watcher.

Three transactions a run, 8 events of 500 bytes, one connection for each of the concurrent runs, fsync on.
"""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import asyncpg

EVENTS_PER_TRANSACTION = (3, 3, 2)
_RECORD = b"x" * 500
_TABLE = """
CREATE TABLE IF NOT EXISTS floor_events (
    run_id uuid, version int, kind text, record bytea, PRIMARY KEY (run_id, version))"""
_INSERT = "INSERT INTO floor_events SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bytea[])"


async def floor(url: str, concurrency: int, seconds: float) -> float:
    """Return how many runs a second are stored."""
    first = await asyncpg.connect(url)
    await first.execute(_TABLE)
    others = [await asyncpg.connect(url) for _ in range(concurrency - 1)]
    try:
        began = time.perf_counter()
        done = await asyncio.gather(*(_store(connection, began + seconds) for connection in (first, *others)))
        return sum(done) / (time.perf_counter() - began)
    finally:
        await first.execute("DROP TABLE floor_events")
        for connection in (first, *others):
            await connection.close()


async def _store(connection: asyncpg.Connection, until: float) -> int:
    insert, done = await connection.prepare(_INSERT), 0
    while time.perf_counter() < until:
        run_id, version = uuid4(), 0
        for count in EVENTS_PER_TRANSACTION:
            versions = list(range(version + 1, version + count + 1))
            await insert.fetch([run_id] * count, versions, ["event.v1"] * count, [_RECORD] * count)
            version += count
        done += 1
    return done
