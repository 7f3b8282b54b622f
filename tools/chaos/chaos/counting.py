"""Counting after a fault: everything that people were told, against everything that is held. One call is one line of the table."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from chaos import laws
from chaos.load import Load
from chaos.stage import Stage
from contracts.runs.event_header import EventHeader
from contracts.runs.run_event import RunEvent
from contracts.topics import EVENTS
from local_stack.wait import until
from messaging.resilient_consumer import LenientConsumer
from testkit.kafka.topic_records import records_of
from testkit.runs.histories import postgres_append

SETTLE_SECONDS = 60.0
"""How long people wait for their answers and ends once the fault is over; the longest wait of the system is a lease."""

SCRATCH = "from_nothing"

TABLES = {
    "hitl_runs": "run_id, tenant, version, state, session_id, user_id, created_at, updated_at, ended",
    "hitl_pending_approvals": "*",
    "hitl_approvals": "*",
}
"""What is compared: all but `folded_on`, which says in how many batches a row was made."""

_PER_RUN: Mapping[str, Callable[[laws.Case], Iterator[str]]] = {
    "ended": laws.ended,
    "once": laws.once,
    "gapless": laws.gapless,
    "answers": laws.answers,
    "seen": laws.seen,
    "called": laws.called,
}


@dataclass(frozen=True)
class Count:
    """What came out. `breaches` holds a list for every law."""

    runs: int
    decisions: int
    refused: int
    asked_again: int
    retries: int
    stall: float
    wait: float
    breaches: Mapping[str, list[str]]

    @property
    def broken(self) -> list[str]:
        """All breaches of all laws."""
        return [f"{law}: {breach}" for law, found in self.breaches.items() for breach in found]


async def count(stage: Stage, load: Load) -> Count:
    """Let everybody have their answers, then hold all of it to the laws."""
    await load.settle(SETTLE_SECONDS)
    if load.failure is not None:
        raise load.failure
    histories, calls = await _histories(stage), await stage.provider.calls()
    by_prompt = {event.data.request.prompt: run_id for run_id, (event, *_) in histories.items()}  # type: ignore[attr-defined]
    cases = [
        laws.Case(story, histories.get(by_prompt.get(story.prompt, UUID(int=0)), []), calls[story.prompt])
        for story in load.stories
        if story.asked
    ]
    breaches = {law: [found for case in cases for found in check(case)] for law, check in _PER_RUN.items()}
    breaches["answers"] += load.unequal
    breaches["views"] = await views_differ(stage, {run_id: len(history) for run_id, history in histories.items()})
    asked = [asked for story in load.stories for asked in story.asked]
    return Count(
        runs=len(cases),
        decisions=sum(one.action != "start" for one in asked),
        refused=sum(one.expected != "accepted" for one in asked),
        asked_again=sum(one.sent for one in asked) - len(asked) - load.repeated,
        retries=sum(map(laws.retries_of, cases)),
        stall=load.longest_stall,
        wait=load.longest_wait,
        breaches={law: breaches[law] for law in laws.LAWS},
    )


async def _histories(stage: Stage) -> dict[UUID, list[RunEvent]]:
    async with stage.sql() as sql:
        rows = await sql.fetch("SELECT run_id, record FROM ledger.events ORDER BY run_id, version")
    found: defaultdict[UUID, list[RunEvent]] = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(RunEvent.parse(row["record"]))
    return found


async def versions_of(stage: Stage) -> dict[UUID, int]:
    """Return the version that the ledger has of every run."""
    async with stage.sql() as sql:
        rows = await sql.fetch("SELECT run_id, max(version) FROM ledger.events GROUP BY run_id")
    return {row[0]: row[1] for row in rows}


async def views_differ(stage: Stage, wanted: Mapping[UUID, int]) -> list[str]:
    """Make a read model from nothing but the topic, in a database of its own; return where the live one differs.

    `wanted` are the versions that the live one has to have reached first. What the topic tells must be the record, to the byte.
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
    recorded, published = await _recorded(stage), await _published(stage)
    url = await stage.postgres.create_database(SCRATCH)
    try:
        await postgres_append(url)([published[key] for key in sorted(published) if key in recorded])
        await _rebuild(stage, url)
        live, made = await _dump(stage.database_url), await _dump(url)
    finally:
        await stage.postgres.drop_database(SCRATCH)
    untold = [
        f"the topic does not tell {key} as it is recorded" for key in recorded if published.get(key) != recorded[key]
    ]
    return untold + [f"{table} {key}" for table in TABLES for key in _unlike(live[table], made[table])]


_Records = dict[tuple[UUID, int], bytes]


async def _recorded(stage: Stage) -> _Records:
    async with stage.sql() as sql:
        return {
            (row[0], row[1]): row[2] for row in await sql.fetch("SELECT run_id, version, record FROM ledger.events")
        }


async def _published(stage: Stage) -> _Records:
    """Read the topic from its beginning: what is no event is passed over, what comes again is the same."""
    found: _Records = {}
    for record in await records_of(stage.bootstrap, EVENTS.name, LenientConsumer):
        with contextlib.suppress(ValueError):
            header = EventHeader.parse(record.value or b"")
            found.setdefault((header.run_uuid, header.version), record.value)
    return found


async def _rebuild(stage: Stage, url: str) -> None:
    settings = {**os.environ, **stage.fleet.environment, "DATABASE_URL": url}
    rebuilding = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "rebuild-views"),
        env=settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await rebuilding.communicate()
    assert rebuilding.returncode == 0, said.decode()


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
