"""The tables of the read model in PostgreSQL: their schema, what a row can hold, writers at once, rebuilds, outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from contracts.runs.run_event import RunEvent
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.reader import PostgresViews
from gateway.adapters.postgres.schema import prepare_schemas
from gateway.adapters.postgres.writer import PostgresTables
from gateway.errors import DatabaseUnavailable, LedgerMissing
from gateway.projection.rows import Changes, project_batch
from local_stack.postgres.server import Postgres
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.runs.commands import approve
from testkit.runs.histories import Feed, history_of, postgres_append
from testkit.runs.specification import Story
from testkit.stack.user import until

from .stories import FINISHED, RETRIED, TENANT, WAITING, make_schemas


@pytest_asyncio.fixture
async def tables(postgres_url: str) -> AsyncIterator[PostgresTables]:
    """Give empty tables in PostgreSQL."""
    await make_schemas(postgres_url)
    tables = PostgresTables(postgres_url)
    yield tables
    await tables.close()


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


async def is_silent(database: PostgresDatabase) -> bool | None:
    """Tell whether the last ping failed."""
    return True if database.is_unavailable else None


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
    await make_ledger_tables(postgres_url)
    await rows(postgres_url, Path(__file__).with_name("schema_before_migrations.sql").read_text())
    run_id = uuid4()
    append, events = postgres_append(postgres_url), history_of(FINISHED, run_id)
    tables = PostgresTables(postgres_url)
    await Feed(tables, append).give(*events[:3])
    queries = ("SELECT * FROM views.hitl_runs", "SELECT * FROM views.hitl_pending_approvals")
    before = [await rows(postgres_url, query) for query in queries]
    assert [len(found) for found in before] == [1, 1]
    await prepare_schemas(postgres_url)
    assert [await rows(postgres_url, query) for query in queries] == before
    assert await rows(postgres_url, "SELECT version_num FROM views.schema_version") == [("0001",)]
    await Feed(tables, append).give(*events[3:])
    assert await rows(postgres_url, "SELECT version, ended FROM views.hitl_runs") == [(len(events), "completed")]
    assert len(await rows(postgres_url, "SELECT FROM views.hitl_step_events")) == len(events)
    await tables.close()


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


async def test_decisions_are_rows_of_their_own(tables: PostgresTables, postgres_url: str) -> None:
    """Who decided what, when and at which version, each once however often the events come."""
    run_id, retried = uuid4(), uuid4()
    for _ in range(2):
        await Feed(tables).deliver(*history_of(FINISHED, run_id), *history_of(RETRIED, retried))
    query = "select run_id, step, action, actor from views.hitl_approvals order by at, version"
    assert sorted(await rows(postgres_url, query), key=str) == sorted(
        [
            (run_id, "payload_review", "approve", "ann"),
            (run_id, "response_review", "approve", "ann"),
            (retried, "payload_review", "approve", "ann"),
            (retried, "error_review", "retry", "ann"),
        ],
        key=str,
    )


async def test_text_that_only_json_can_hold_is_read(tables: PostgresTables, postgres_url: str) -> None:
    """A null character in a comment: PostgreSQL's text refuses it, the JSON around it does not."""
    story = WAITING.given(approve(comment="nul \x00 and \u2028"))
    feed = Feed(tables, postgres_append(postgres_url))
    await feed.give(*history_of(story, uuid4()))
    ((record, at),) = await rows(
        postgres_url, "select record::text, at from views.hitl_step_events where kind = 'checkpoint-approved.v1'"
    )
    assert "\\u0000" in str(record)
    assert isinstance(at, datetime)
    assert feed.letters == []


async def test_a_value_that_no_column_takes_is_a_dead_letter(tables: PostgresTables, postgres_url: str) -> None:
    """A null character in a session's name; the run beside it is projected."""
    broken, whole = uuid4(), uuid4()
    feed = Feed(tables)
    await feed.deliver(*history_of(WAITING, broken, session_id="a\x00b")[:1], *history_of(WAITING, whole))
    assert len(feed.letters) == 1
    assert await rows(postgres_url, "select run_id, version from views.hitl_runs") == [(whole, 3)]


async def test_two_writers_at_once_end_with_the_newest_of_each_run(postgres_url: str) -> None:
    """Two gateways that both hold a partition for a moment: no lost update, no deadlock, no decided checkpoint in the list."""
    await make_schemas(postgres_url)
    run_ids = [uuid4() for _ in range(20)]
    ahead, behind = PostgresTables(postgres_url), PostgresTables(postgres_url)

    def events(story: Story) -> list[bytes]:
        return [item for run_id in run_ids for item in history_of(story, run_id)]

    append = postgres_append(postgres_url)
    for _ in range(10):
        await asyncio.gather(Feed(ahead, append).give(*events(FINISHED)), Feed(behind, append).give(*events(WAITING)))
        found = await rows(postgres_url, "select state, count(*) from views.hitl_runs group by 1")
        assert found == [("completed", len(run_ids))]
        assert await rows(postgres_url, "select * from views.hitl_pending_approvals") == []
        await rows(postgres_url, "truncate views.hitl_runs, views.hitl_pending_approvals")
    await ahead.close()
    await behind.close()


async def test_a_rebuild_makes_the_very_tables_that_are_there(tables: PostgresTables, postgres_url: str) -> None:
    """Rows, open checkpoints and decisions are the same, folded from the ledger; damage is mended."""
    woven = [item for story in (WAITING, FINISHED, RETRIED) for item in history_of(story, uuid4())]
    feed = Feed(tables, postgres_append(postgres_url))
    await feed.give_all([woven[start : start + 4] for start in range(0, len(woven), 4)])
    queries = [
        "select run_id, tenant, version, state, session_id, user_id, created_at, updated_at, ended from views.hitl_runs order by 1",
        "select * from views.hitl_pending_approvals order by 1",
        "select * from views.hitl_approvals order by 1, 2",
    ]
    before = [await rows(postgres_url, query) for query in queries]
    assert [len(found) for found in before] == [3, 1, 4]
    await rows(postgres_url, "update views.hitl_runs set state = 'failed', version = 99")
    await rows(postgres_url, "delete from views.hitl_pending_approvals")
    assert await tables.remake(project_batch) == len(woven)
    assert [await rows(postgres_url, query) for query in queries] == before


async def test_readers_see_the_old_tables_until_a_rebuild_is_done(tables: PostgresTables, postgres_url: str) -> None:
    """And a writer that came meanwhile goes on behind it."""
    run_id = uuid4()
    events = history_of(FINISHED, run_id)
    feed = Feed(tables, postgres_append(postgres_url))
    await feed.give(*events[:5])
    seen: list[list[tuple[object, ...]]] = []
    looking = "select version from views.hitl_runs"

    def fold(known: object, batch: object) -> Changes:
        seen.append(asyncio.run_coroutine_threadsafe(rows(postgres_url, looking), beside).result())
        return project_batch(known, batch)  # type: ignore[arg-type]

    beside = asyncio.get_running_loop()
    rebuilding = asyncio.to_thread(asyncio.run, _remake(postgres_url, fold))
    await rebuilding
    assert seen == [[(5,)]]
    await feed.give(*events[5:])
    assert await rows(postgres_url, looking) == [(len(events),)]


async def _remake(url: str, fold: object) -> None:
    tables = PostgresTables(url)
    await tables.remake(fold)  # type: ignore[arg-type]
    await tables.close()


async def test_the_tables_come_back_with_the_server(private_postgres: Postgres) -> None:
    """A broken connection is DatabaseUnavailable, then made anew; no process restarts."""
    url, run_id = private_postgres.url(), uuid4()
    await make_schemas(url)
    tables, database = PostgresTables(url), PostgresDatabase(url, prepare_schemas)
    await database.start()
    events = history_of(WAITING, run_id)
    append = postgres_append(url)
    await append(events)
    await Feed(tables).deliver(*events[:2])
    assert not database.is_unavailable
    await private_postgres.stop()
    with pytest.raises(DatabaseUnavailable):
        await tables.load([run_id])
    with pytest.raises(DatabaseUnavailable):
        await PostgresViews(database).run(TENANT, run_id)
    watching = asyncio.create_task(database.watch())
    await until(lambda: is_silent(database))
    giving = asyncio.create_task(Feed(tables).deliver(*events[2:]))
    await private_postgres.start()
    await giving
    await until(lambda: answers(database))
    assert await rows(url, "select version from views.hitl_runs") == [(len(events),)]
    run = await PostgresViews(database).run(TENANT, run_id)
    assert run is not None
    assert run.version == len(events)
    watching.cancel()
    await tables.close()
    await database.stop()
