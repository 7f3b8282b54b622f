"""A read model in which very much waits: histories of the real core with other names in them, through the real projection and writer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from uuid import UUID

import asyncpg

from contracts.ledger_schema import commit_of
from contracts.runs.event_header import EventHeader
from gateway.adapters.postgres.writer import PostgresTables
from gateway.projection.rows import project_batch
from testkit.runs.commands import at_payload_review
from testkit.runs.specification import RUN_ID, Story
from testkit.runs.tasks import under

BATCH = 500
GROUPS, PERSONS, NOUNS = 50, 500, 3_000
RARE = "heliotrope"
"""A word of one subject in ten thousand."""

_RULES = {"priority": 42, "due_seconds": 4242}
_USER, _GROUP = ["USER-1"], ["GROUP-1"]
_FORMS: tuple[tuple[float, Story], ...] = (
    (0.3, at_payload_review()),
    (0.4, under({"candidates": {"groups": _GROUP}, **_RULES})),
    (0.2, under({"candidates": {"users": _USER}, **_RULES})),
    (0.1, under({"candidates": {"users": _USER, "groups": _GROUP}, **_RULES})),
)
"""How often a checkpoint is for every reviewer, for a group, for a person, or for both."""


def histories(count: int, seed: int = 7) -> Iterator[tuple[UUID, list[bytes]]]:
    """Make the histories of so many runs that wait."""
    chance = random.Random(seed)  # noqa: S311 - for a benchmark
    weights = [weight for weight, _ in _FORMS]
    for number in range(count):
        (_, story), run_id = chance.choices(_FORMS, weights)[0], UUID(int=chance.getrandbits(128))
        checkpoint = str(story.checkpoint_id).encode(), str(UUID(int=chance.getrandbits(128))).encode()
        said = f"a {chance.choice(('red', 'blue', 'green', 'plain'))} noun{chance.randrange(NOUNS)}"
        said += f" {RARE}" if number % 10_000 == 0 else ""
        changes = [
            (str(RUN_ID).encode(), str(run_id).encode()),
            checkpoint,
            (b"USER-1", b"person%d" % chance.randrange(PERSONS)),
            (b"GROUP-1", b"group%d" % chance.randrange(GROUPS)),
            (b'"priority":42', b'"priority":%d' % chance.randrange(101)),
            (b'"due_seconds":4242.0', chance.choice((b'"due_seconds":null', b'"due_seconds":%d' % chance.randrange(1, 10**6)))),
            (b"a red bicycle", said.encode()),
            (b'"at":"2026-03-02T09:00', b'"at":"2026-03-%02dT%02d:%02d' % (chance.randrange(1, 29), chance.randrange(24), chance.randrange(60))),
        ]  # fmt: skip
        yield run_id, [_changed(event.to_bytes(), changes) for event in story.history]


def _changed(record: bytes, changes: list[tuple[bytes, bytes]]) -> bytes:
    for before, after in changes:
        record = record.replace(before, after)
    return record


async def fill(url: str, count: int) -> float:
    """Let so many checkpoints wait; return the seconds that the projection took."""
    connection, tables = await asyncpg.connect(url), PostgresTables(url)
    took, batch = 0.0, list[tuple[UUID, list[bytes]]]()
    for history in histories(count):
        batch.append(history)
        if len(batch) == BATCH:
            took += await _write(connection, tables, batch)
            batch = []
    took += await _write(connection, tables, batch)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    await tables.close()
    return took


async def _write(
    connection: asyncpg.Connection, tables: PostgresTables, batch: list[tuple[UUID, list[bytes]]]
) -> float:
    rows = [("run", run_id, 1, commit_of(records)) for run_id, records in batch]
    columns = ("aggregate", "stream_id", "version", "events")
    await connection.copy_records_to_table("commits", schema_name="ledger", records=rows, columns=columns)
    began = time.perf_counter()
    await tables.write(
        project_batch({}, [EventHeader.parse_with_facts(record) for _, records in batch for record in records])
    )
    return time.perf_counter() - began
