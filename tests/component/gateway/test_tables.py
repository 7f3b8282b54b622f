"""The tables of the read model in PostgreSQL: what a row can hold, writers at once, rebuilds, outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import uuid4

import pytest
import pytest_asyncio

from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.reader import PostgresViews
from gateway.adapters.postgres.schema import prepare_schemas
from gateway.adapters.postgres.writer import PostgresTables
from gateway.errors import DatabaseUnavailable
from gateway.projection.rows import Changes, project_batch
from local_stack.postgres.server import Postgres
from testkit.runs.commands import approve
from testkit.runs.histories import Feed, history_of, postgres_append
from testkit.runs.people import ADAM, ANN
from testkit.runs.specification import Story
from testkit.runs.tasks import by, claim, comment, under
from testkit.stack.user import until

from .stories import FINISHED, RETRIED, TENANT, WAITING, answers, make_schemas, rows


@pytest_asyncio.fixture
async def tables(postgres_url: str) -> AsyncIterator[PostgresTables]:
    """Give empty tables in PostgreSQL."""
    await make_schemas(postgres_url)
    tables = PostgresTables(postgres_url)
    yield tables
    await tables.close()


async def is_silent(database: PostgresDatabase) -> bool | None:
    """Tell whether the last ping failed."""
    return True if database.is_unavailable else None


async def test_decisions_are_rows_of_their_own(tables: PostgresTables, postgres_url: str) -> None:
    """Who decided what, when and at which version, each once however often the events come."""
    run_id, retried = uuid4(), uuid4()
    for _ in range(2):
        feed = Feed(tables, postgres_append(postgres_url))
        await feed.give(*history_of(FINISHED, run_id), *history_of(RETRIED, retried))
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


async def test_a_row_without_its_record_stays_and_holds_up_nothing(tables: PostgresTables, postgres_url: str) -> None:
    """The ledger was restored from an older copy than the views: the run comes again, and other runs go on."""
    lost, other = uuid4(), uuid4()
    await Feed(tables).deliver(*history_of(WAITING, lost))
    feed = Feed(tables)
    await feed.deliver(*history_of(FINISHED, lost), *history_of(WAITING, other))
    assert feed.letters == []
    assert sorted(await rows(postgres_url, "select run_id, version from views.hitl_runs")) == sorted(
        [(lost, 3), (other, 3)]
    )


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
    task = under({"candidates": {"users": ["ann", 'o"d,d'], "groups": ["legal"]}, "priority": 7, "due_seconds": 60})
    told = (WAITING, FINISHED, RETRIED, task.given(by(ANN, claim()), by(ADAM, comment())))
    woven = [item for story in told for item in history_of(story, uuid4())]
    feed = Feed(tables, postgres_append(postgres_url))
    await feed.give_all([woven[start : start + 4] for start in range(0, len(woven), 4)])
    queries = [
        "select to_jsonb(runs) - 'folded_on' from views.hitl_runs as runs order by run_id",
        "select * from views.hitl_pending_approvals order by checkpoint_id",
        "select * from views.hitl_approvals order by 1, 2",
    ]
    before = [await rows(postgres_url, query) for query in queries]
    assert [len(found) for found in before] == [4, 2, 4]
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
