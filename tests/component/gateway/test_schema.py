"""The schema of the read model: made once by many, after the ledger, and taken over from every version before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from contracts.runs.event_header import EventHeader
from contracts.runs.run_event import RunEvent
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.schema import prepare_schemas
from gateway.adapters.postgres.writer import PostgresTables
from gateway.errors import DatabaseUnavailable, LedgerMissing
from gateway.projection.rows import project_batch
from gateway.projection.waiting_list import NEVER
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.runs.histories import Feed, history_of, postgres_append
from testkit.stack.user import until

from .stories import FINISHED, WAITING, answers, make_schemas, rows


async def test_many_gateways_may_make_the_schema_at_once(postgres_url: str) -> None:
    """Each finds it made, by itself or by another."""
    await make_ledger_tables(postgres_url)
    await asyncio.gather(*(prepare_schemas(postgres_url) for _ in range(8)))
    tables = await rows(postgres_url, "select tablename from pg_tables where schemaname = 'views' order by 1")
    assert tables == [("hitl_approvals",), ("hitl_pending_approvals",), ("hitl_runs",), ("schema_version",)]


async def test_without_the_ledger_nothing_is_made(postgres_url: str) -> None:
    """The orchestrator owns it: the gateway waits until it is there, in its present form."""
    with pytest.raises(LedgerMissing):
        await prepare_schemas(postgres_url)
    await rows(postgres_url, _OLD_LEDGER)
    with pytest.raises(LedgerMissing):
        await prepare_schemas(postgres_url)
    assert await rows(postgres_url, "SELECT nspname FROM pg_namespace WHERE nspname IN ('views', 'artifacts')") == []


async def test_a_gateway_waits_for_the_ledger_and_goes_on_by_itself(postgres_url: str) -> None:
    """It is not ready and says why; once the orchestrator has made the ledger, the next ping prepares the schemas."""
    database = PostgresDatabase(postgres_url, prepare_schemas)
    await database.start()
    with pytest.raises(LedgerMissing, match="the orchestrator makes it"):
        await database.check()
    await make_ledger_tables(postgres_url)
    watching = asyncio.create_task(database.watch())
    await until(lambda: answers(database))
    assert await database.fetch("SELECT * FROM views.hitl_runs") == []
    watching.cancel()
    await database.stop()


async def test_the_schema_of_version_0_1_is_taken_over(postgres_url: str) -> None:
    """Views and events that were kept twice go; rows stay, and are found by state."""
    await rows(postgres_url, _OLD_SCHEMA)
    run_ids = [uuid4(), uuid4()]
    for run_id, state in zip(run_ids, ("completed", "payload_review"), strict=True):
        old = f"('{run_id}', 'default', 3, 0, '{state}', now(), now(), '{{}}')"
        await rows(
            postgres_url,
            f"insert into views.hitl_runs (run_id, tenant, version, folded_on, state, created_at, updated_at, view) values {old}",  # noqa: S608
        )
    await make_schemas(postgres_url)
    await prepare_schemas(postgres_url)
    found = await rows(postgres_url, "select run_id, ended from views.hitl_runs order by ended")
    assert found == [(run_ids[0], "completed"), (run_ids[1], None)]
    assert await rows(postgres_url, "select * from views.hitl_step_events") == []


async def test_the_schema_from_before_migrations_is_taken_over(postgres_url: str) -> None:
    """Its rows stay as they are, and the projector goes on from them."""
    await make_schemas(postgres_url)
    run_id = uuid4()
    append, events = postgres_append(postgres_url), history_of(FINISHED, run_id)
    tables = PostgresTables(postgres_url)
    await Feed(tables, append).give(*events[:3])
    await tables.close()
    await _go_back(postgres_url)
    queries = [f"SELECT {columns} FROM views.{table}" for table, columns in _FORMER.items()]  # noqa: S608 - constants of this file
    before = [await rows(postgres_url, query) for query in queries]
    assert [len(found) for found in before] == [1, 1]
    await prepare_schemas(postgres_url)
    assert [await rows(postgres_url, query) for query in queries] == before
    assert await rows(postgres_url, "SELECT version_num FROM views.schema_version") == [("0003",)]
    tables = PostgresTables(postgres_url)
    await Feed(tables, append).give(*events[3:])
    assert await rows(postgres_url, "SELECT version, ended FROM views.hitl_runs") == [(len(events), "completed")]
    assert len(await rows(postgres_url, "SELECT FROM views.hitl_step_events")) == len(events)
    await tables.close()


async def test_what_waited_before_the_waiting_list_is_in_it(postgres_url: str) -> None:
    """Found by the words of its subject, and read by every reviewer, as before; a subject that jsonb does not take is found by no word."""
    await make_schemas(postgres_url)
    told, unsaid = uuid4(), uuid4()
    append = postgres_append(postgres_url)
    tables = PostgresTables(postgres_url)
    await Feed(tables, append).give(*history_of(WAITING, told))
    odd = [event.replace(b"a red bicycle", rb"\\\\u0000 red") for event in history_of(WAITING, unsaid)]
    await Feed(tables, append).give(*odd)
    await tables.close()
    await _go_back(postgres_url)
    await prepare_schemas(postgres_url)
    query = "SELECT run_id, readers, candidates, priority, due_at, words @@ 'bicy:*' FROM views.hitl_pending_approvals"
    assert sorted(await rows(postgres_url, query), key=str) == sorted(
        [(told, ["*"], None, 50, NEVER, True), (unsaid, ["*"], None, 50, NEVER, None)], key=str
    )
    assert await rows(postgres_url, "SELECT DISTINCT for_every_reviewer, readers FROM views.hitl_runs") == [
        (True, None)
    ]


@pytest.mark.parametrize("read_model", ["a table of its own", "a view of the ledger"])
async def test_a_ledger_with_a_row_for_each_event_is_taken_over(read_model: str, postgres_url: str) -> None:
    """Whatever the read model kept: events are read as before, and through the same view."""
    run_id = uuid4()
    await rows(postgres_url, _OLD_LEDGER)
    await rows(postgres_url, _OLD_SCHEMA if read_model == "a table of its own" else _OLD_VIEW)
    events = history_of(WAITING, run_id)
    connection = await asyncpg.connect(postgres_url)
    for version, event in enumerate(events, start=1):
        insert = "insert into ledger.events (run_id, version, kind, record) values ($1, $2, 'any', $3)"
        await connection.execute(insert, run_id, version, event)
    await connection.close()
    for _ in range(2):
        await make_schemas(postgres_url)
    kinds = [(version, RunEvent.parse(event).kind) for version, event in enumerate(events, start=1)]
    for view in ("views.hitl_step_events", "ledger.events"):
        assert await rows(postgres_url, f"select version, kind from {view} order by version") == kinds  # noqa: S608
    tables = PostgresTables(postgres_url)
    assert await tables.remake(project_batch) == len(events)
    await tables.close()


async def test_a_batch_is_held_until_the_former_schema_is_taken_over(postgres_url: str) -> None:
    """The ledger's owner is brought up to date first: until then columns are missing, and no process ends over it."""
    await make_ledger_tables(postgres_url)
    await rows(postgres_url, Path(__file__).with_name("schema_before_migrations.sql").read_text())
    append, events = postgres_append(postgres_url), history_of(WAITING, uuid4())
    tables = PostgresTables(postgres_url)
    held = asyncio.create_task(Feed(tables, append).give(*events))
    changes = project_batch({}, [EventHeader.parse(event) for event in events])
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        await tables.write(changes)
    await prepare_schemas(postgres_url)
    await held
    assert await rows(postgres_url, "SELECT version FROM views.hitl_runs") == [(len(events),)]
    await tables.close()


async def _go_back(postgres_url: str) -> None:
    """Put the former schema in the present one's place, with the rows of its tables."""
    for table, columns in _FORMER.items():
        await rows(postgres_url, f"CREATE TABLE {table} AS SELECT {columns} FROM views.{table}")  # noqa: S608
    await rows(postgres_url, "DROP SCHEMA views CASCADE")
    await rows(postgres_url, Path(__file__).with_name("schema_before_migrations.sql").read_text())
    for table, columns in _FORMER.items():
        await rows(postgres_url, f"INSERT INTO views.{table} ({columns}) SELECT {columns} FROM {table}")  # noqa: S608


_FORMER = {
    "hitl_runs": "run_id, tenant, version, folded_on, state, session_id, user_id, created_at, updated_at",
    "hitl_pending_approvals": "checkpoint_id, run_id, tenant, step, assignee, session_id, user_id, opened_at, expires_at",
}
"""The columns of the tables before there were migrations."""

_OLD_LEDGER = """
create schema ledger;
create table ledger.events (
    run_id uuid not null, version integer not null, kind text not null, record bytea not null,
    position bigint not null generated always as identity, primary key (run_id, version));"""

_OLD_VIEW = """
create schema views;
create view views.hitl_step_events as
select run_id, version, kind, now() as at, convert_from(record, 'UTF8')::json as record from ledger.events"""

_OLD_SCHEMA = """
create schema views;
create table views.hitl_runs (
    run_id uuid primary key, tenant text not null, version bigint not null, folded_on bigint not null, state text not null,
    session_id text, user_id text, created_at timestamptz not null, updated_at timestamptz not null, view json not null);
create index hitl_runs_in_state on views.hitl_runs (tenant, state, created_at desc, run_id desc);
create table views.hitl_step_events (
    run_id uuid not null, version bigint not null, kind text not null, at timestamptz not null, record json not null,
    primary key (run_id, version));
create table views.hitl_approvals (
    run_id uuid not null, version bigint not null, checkpoint_id uuid not null, tenant text not null, step text not null,
    action text not null, actor text not null, at timestamptz not null, subject_sha256 text not null, approval json not null,
    primary key (run_id, version));
create index hitl_approvals_of_checkpoint on views.hitl_approvals (checkpoint_id)"""
