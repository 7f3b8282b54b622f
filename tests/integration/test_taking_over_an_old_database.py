"""A database of commit 6a9246c is taken over: today's services start on it, and no run, decision or refusal is lost.

`testkit.postgres.make_old_database` made the dump and its sidecar: each run's view and history as the old version
answered them, and each request that had an Idempotency-Key with its answer.
"""

from __future__ import annotations

import json
import os
import sys
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from local_stack.broker.embedded import EmbeddedBroker
from local_stack.postgres.server import Postgres
from testkit.kafka.servers import Kafka
from testkit.postgres.servers import fresh_database
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User

Json = dict[str, Any]
DUMP = Path(__file__).parents[1] / "fixtures" / "database-6a9246c.sql"
OLD: Json = json.loads(DUMP.with_suffix(".json").read_text())
RUNS: dict[str, Json] = OLD["runs"]
REQUESTS: dict[str, Json] = OLD["requests"]
AT_WORK = {"expired": "failed", "call ordered": "completed", "preparation ordered": "completed"}
"""Runs that something was due for when the dump was made, and the state that they end in."""

AT_REST = [name for name in RUNS if name not in AT_WORK]

TODAY = """
UPDATE ledger.refusals SET at = now();
UPDATE work.budgets SET period = extract(year FROM now())::text;
UPDATE ledger.deadlines SET due_at = now() + (due_at - '{taken}'), at = now() + (at - '{taken}')
WHERE run_id <> '{expired}' AND kind <> 'expire-lease.v1';
"""
"""Retention, deadlines and budgets count from now, as if the dump were new; but leases and one review have run out."""

BUDGETS = json.dumps({"period": "year", "user": {"ben": "0.003"}})
"""The stored spending leaves no room for a second call of `ben`."""


@pytest_asyncio.fixture(scope="module")
async def database(postgres_server: Postgres) -> AsyncIterator[str]:
    """Restore the dump."""
    taken = max(event["at"] for run in RUNS.values() for event in run["history"])
    async with fresh_database(postgres_server) as url:
        await execute(url, DUMP.read_text())
        await execute(url, TODAY.format(taken=taken, expired=RUNS["expired"]["run_id"]))
        yield url


@pytest_asyncio.fixture(scope="module")
async def stack(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Start today's services on the restored database."""
    folder = tmp_path_factory.mktemp("taken-over")
    broker = EmbeddedBroker(folder)
    await broker.start()
    kafka = Kafka(broker.bootstrap, embedded=True, log_id=broker.log_id)
    try:
        async with running_stack(kafka, database, folder / "logs", {"SAYSO_BUDGETS": BUDGETS}) as running:
            yield running
    finally:
        await broker.stop()


@pytest_asyncio.fixture(scope="module")
async def ann(stack: Stack) -> AsyncIterator[User]:
    """Make a reviewer of the runs."""
    user = User(stack.gateway_url, stack.ws_url, "ann")
    async with user.http:
        yield user


async def execute(url: str, statements: str) -> None:
    """Execute statements on a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@pytest.mark.parametrize("name", AT_REST)
async def test_a_history_is_equal_to_the_field(ann: User, name: str) -> None:
    """Stored events stay as they were, and the new version adds none."""
    assert await ann.history(RUNS[name]["run_id"]) == RUNS[name]["history"]


def _known(now: Any, then: Any) -> Any:
    """Return what is said now without the members of objects that came later."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {name: _known(now[name], then[name]) for name in then if name in now}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [_known(*pair) for pair in zip(now, then, strict=True)]
    return now


@pytest.mark.parametrize("name", AT_REST)
async def test_a_view_reads_the_same(ann: User, name: str) -> None:
    """The read model was taken over too; members that came later are allowed."""
    view = await ann.view(RUNS[name]["run_id"])
    assert _known(view, RUNS[name]["view"]) == RUNS[name]["view"]


@pytest.mark.parametrize(("name", "state"), AT_WORK.items())
async def test_what_was_due_happens(ann: User, name: str, state: str) -> None:
    """Orders that no worker had taken are carried out, and a deadline that passed takes effect."""
    await ann.until(RUNS[name]["run_id"], state)
    history = await ann.history(RUNS[name]["run_id"])
    assert history[: len(RUNS[name]["history"])] == RUNS[name]["history"]


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_same_idempotency_key_gets_its_first_answer_again(ann: User, name: str) -> None:
    """A client that repeats a request after the change of version gets the answer of the old version."""
    request = REQUESTS[name]
    answer = await ann.http.post(request["path"], json=request["body"], headers=request["headers"])
    assert answer.status_code == request["status"], answer.text
    first = {member: value for member, value in request["answer"].items() if member != "type"}
    assert _known(answer.json(), first) == first, "the name of the product stands in `type`"


async def test_an_artifact_is_the_same_bytes(ann: User) -> None:
    """A file that was stored before is served."""
    started = RUNS["attached"]["history"][0]["data"]
    (artifact,) = started["request"]["attachments"]
    stored = await ann.http.get(f"/hitl/artifacts/{artifact.removeprefix('artifact:sha256:')}")
    assert stored.content == b"What the customer wrote: the invoice is wrong."


@pytest.mark.parametrize("step", ["information_review", "payload_review", "response_review"])
async def test_a_waiting_review_can_be_approved_and_its_run_completes(ann: User, step: str) -> None:
    """A person decides a checkpoint that the old version opened."""
    run_id = RUNS[f"waiting at {step}"]["run_id"]
    asked = await ann.view(run_id)
    assert (await ann.decide(asked, "approve")).status_code == 200
    await ann.until(run_id, "completed")


async def test_what_was_spent_counts(ann: User) -> None:
    """A budget that the old version charged is nearly used up: the next call asks a person."""
    started = await ann.start(user_id="ben")
    asked = await ann.until(started["run_id"], "payload_review")
    assert [reason["code"] for reason in asked["checkpoint"]["reasons"]] == ["budget_exceeded"]


@pytest.mark.usefixtures("stack")
async def test_rebuilt_views_have_the_same_rows(database: str) -> None:
    """The read model is made again from the ledger that was taken over."""
    before = await rows_of_views(database)
    environment = {**os.environ, "DATABASE_URL": database}
    rebuild = await create_subprocess_exec(sys.executable, "-m", "gateway", "rebuild-views", env=environment)
    assert await rebuild.wait() == 0
    assert await rows_of_views(database) == before


async def rows_of_views(url: str) -> list[str]:
    """Read all rows of the read model's tables as JSON, but for the version that a row's last batch began at.

    Neither for what a migration gives rows that stood before by a rule of its own: words as PostgreSQL tells them apart, and runs that
    every reviewer read and still reads.
    """
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'views' ORDER BY 1")
        tables = [name for (name,) in tables if name.startswith("hitl_")]
        rows = [
            row
            for name in tables
            for (row,) in await connection.fetch(
                f"SELECT (to_jsonb(stored) - 'folded_on' - 'words' - 'for_every_reviewer')::text FROM views.\"{name}\" AS stored ORDER BY 1"  # noqa: S608 - PostgreSQL named it
            )
        ]
    finally:
        await connection.close()
    assert len(tables) >= 3
    assert len(rows) > len(RUNS)
    return rows
