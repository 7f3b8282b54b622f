"""The read model in PostgreSQL keeps the promises of the one in memory, and its own: transactions, writers, schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from contracts.runs.views import RunView
from gateway.adapters.database import Database
from gateway.adapters.tables import PostgresTables, ensure_schema
from gateway.adapters.views import PostgresViews
from gateway.fakes.memory import MemoryTables
from gateway.ports import Away, Page, Place, Tables, Views
from gateway.projection import Changes, Recorded, project_batch
from local_stack.postgres import Postgres
from support.asking import approve, at_error_review, at_payload_review, cancel, executed, retry
from support.deciding import Story
from support.projecting import Feed, history_of, view_of

TENANT = "default"
WAITING = at_payload_review()
FINISHED = WAITING.given(approve(), executed(), approve())
RETRIED = at_error_review().given(retry())


@dataclass
class Store:
    """A read model: what writes it and what reads it."""

    tables: Tables
    views: Views


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[Store]:
    """Give an empty read model, in memory and in PostgreSQL."""
    if request.param == "memory":
        memory = MemoryTables()
        yield Store(memory, memory)
        return
    await ensure_schema(postgres_url)
    tables, database = PostgresTables(postgres_url), Database(postgres_url)
    await database.start()
    yield Store(tables, PostgresViews(database))
    await tables.close()
    await database.stop()


async def fill(store: Store, *histories: tuple[Story, UUID], **members: object) -> None:
    """Project whole histories."""
    for story, run_id in histories:
        await Feed(store.tables).give(*history_of(story, run_id, **members))


def ids(page: Page) -> list[UUID]:
    """Return the runs of a page."""
    return [RunView.model_validate_json(view).run_id for view in page.views]


async def test_a_run_is_read_as_it_was_folded(store: Store) -> None:
    """Field by field, with the version and state beside it; another tenant sees nothing."""
    run_id = uuid4()
    await fill(store, (WAITING, run_id))
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    view = view_of(history_of(WAITING, run_id))
    assert RunView.model_validate_json(run.view) == view
    assert (run.version, run.state) == (view.version, "payload_review")
    assert await store.views.run("another", run_id) is None
    assert await store.views.run(TENANT, uuid4()) is None


async def test_a_history_is_every_event_in_order_as_it_came(store: Store) -> None:
    """In pages, from behind a version on, and for its own tenant alone."""
    run_id = uuid4()
    await fill(store, (FINISHED, run_id))
    texts = [item.text for item in history_of(FINISHED, run_id)]
    assert [event.record for event in await store.views.history(TENANT, run_id, 0, 100)] == texts
    assert [event.version for event in await store.views.history(TENANT, run_id, 2, 3)] == [3, 4, 5]
    assert await store.views.history("another", run_id, 0, 100) == []


async def test_a_history_shows_nothing_beyond_a_gap(store: Store) -> None:
    """What was parked is shown when what is before it has come."""
    run_id = uuid4()
    events, feed = history_of(FINISHED, run_id), Feed(store.tables)
    await feed.give(*events[:2], *events[3:])
    assert [event.version for event in await store.views.history(TENANT, run_id, 0, 100)] == [1, 2]
    await feed.give(events[2])
    assert len(await store.views.history(TENANT, run_id, 0, 100)) == len(events)
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    assert RunView.model_validate_json(run.view) == view_of(events)


async def test_the_end_of_a_history_that_comes_first_is_found_again(store: Store) -> None:
    """A projector that knows nothing of the parked events folds them when the beginning comes."""
    run_id = uuid4()
    events = history_of(FINISHED, run_id)
    await Feed(store.tables).give(*events[3:])
    assert await store.views.run(TENANT, run_id) is None
    await Feed(store.tables).give(*events[:3])
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    assert run.version == len(events)


async def test_what_waits_is_listed_until_it_is_decided(store: Store) -> None:
    """A checkpoint is there from its opening to its decision, whoever ends it."""
    run_id, other = uuid4(), uuid4()
    await fill(store, (WAITING, run_id), (WAITING, other))
    assert set(ids(await store.views.pending(TENANT, 10))) == {run_id, other}
    await fill(store, (WAITING.given(cancel()), run_id), (FINISHED, other))
    assert await store.views.pending(TENANT, 10) == Page([], None)


async def test_another_checkpoint_takes_the_place_of_the_one_decided(store: Store) -> None:
    """A run waits for one decision at a time."""
    run_id = uuid4()
    await fill(store, (WAITING, run_id), (WAITING.given(approve(), executed()), run_id))
    page = await store.views.pending(TENANT, 10)
    waits = RunView.model_validate_json(page.views[0]).checkpoint
    assert waits is not None
    assert (len(page.views), waits.step.value) == (1, "response_review")
    assert ids(await store.views.pending(TENANT, 10, step="response_review")) == [run_id]
    assert ids(await store.views.pending(TENANT, 10, step="payload_review")) == []


async def test_what_waits_is_filtered(store: Store) -> None:
    """By session and assignee; no checkpoint is offered to a group yet."""
    run_id, other = uuid4(), uuid4()
    await fill(store, (WAITING, run_id), session_id="s1")
    await fill(store, (WAITING, other), session_id="s2")
    assert ids(await store.views.pending(TENANT, 10, session_id="s2")) == [other]
    assert ids(await store.views.pending(TENANT, 10, assignee="ada")) == []
    assert ids(await store.views.pending(TENANT, 10, group="legal")) == []
    assert ids(await store.views.pending("another", 10)) == []


async def test_runs_are_paged_newest_first_and_what_waits_oldest_first(store: Store) -> None:
    """Each item once, also where many have the same time."""
    run_ids = [uuid4() for _ in range(7)]
    for number, run_id in enumerate(run_ids):
        events = history_of(WAITING, run_id)
        late = [item.event.model_copy(update={"at": item.event.at + timedelta(hours=number // 2)}) for item in events]
        await Feed(store.tables).give(*(event.to_bytes() for event in late))

    async def all_pages(lists: object, *, limit: int) -> list[UUID]:
        found: list[UUID] = []
        place: Place | None = None
        while True:
            page = await lists(TENANT, limit, place)  # type: ignore[operator]
            found += ids(page)
            if (place := page.end) is None:
                return found

    newest = await all_pages(store.views.runs, limit=2)
    oldest = await all_pages(store.views.pending, limit=3)
    assert (len(newest), set(newest)) == (7, set(run_ids))
    assert [run_ids.index(run_id) // 2 for run_id in newest] == [3, 2, 2, 1, 1, 0, 0]
    assert [run_ids.index(run_id) // 2 for run_id in oldest] == [0, 0, 1, 1, 2, 2, 3]
    assert len(set(oldest)) == 7


async def test_runs_are_filtered(store: Store) -> None:
    """By state, session and user, alone and together."""
    waiting, finished = uuid4(), uuid4()
    await fill(store, (WAITING, waiting), session_id="s1", user_id="u1")
    await fill(store, (FINISHED, finished), session_id="s1", user_id="u2")
    runs = store.views.runs
    assert ids(await runs(TENANT, 10, state="completed")) == [finished]
    assert set(ids(await runs(TENANT, 10, session_id="s1"))) == {waiting, finished}
    assert ids(await runs(TENANT, 10, session_id="s1", user_id="u1")) == [waiting]
    assert ids(await runs(TENANT, 10, state="completed", user_id="u1")) == []
    assert ids(await runs("another", 10)) == []


@pytest_asyncio.fixture
async def tables(postgres_url: str) -> AsyncIterator[PostgresTables]:
    """Give empty tables in PostgreSQL."""
    await ensure_schema(postgres_url)
    tables = PostgresTables(postgres_url)
    yield tables
    await tables.close()


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Ask the database itself."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_many_gateways_may_make_the_schema_at_once(postgres_url: str) -> None:
    """Each finds it made, by itself or by another."""
    await asyncio.gather(*(ensure_schema(postgres_url) for _ in range(8)))
    tables = await rows(postgres_url, "select tablename from pg_tables where schemaname = 'views' order by 1")
    assert tables == [("hitl_approvals",), ("hitl_pending_approvals",), ("hitl_runs",), ("hitl_step_events",)]


async def test_decisions_are_rows_of_their_own(tables: PostgresTables, postgres_url: str) -> None:
    """Who decided what, when and at which version, each once however often the events come."""
    run_id, retried = uuid4(), uuid4()
    for _ in range(2):
        await Feed(tables).give(*history_of(FINISHED, run_id), *history_of(RETRIED, retried))
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


async def test_text_that_only_json_can_hold_is_kept(tables: PostgresTables, postgres_url: str) -> None:
    """A null character in a comment: PostgreSQL's text refuses it, the JSON around it does not."""
    run_id = uuid4()
    story = WAITING.given(approve(comment="nul \x00 and \u2028"))
    feed = Feed(tables)
    await feed.give(*history_of(story, run_id))
    (record,) = await rows(
        postgres_url, "select record::text from views.hitl_step_events where kind = 'checkpoint-approved.v1'"
    )
    assert "\\u0000" in str(record[0])
    assert feed.letters == []


async def test_a_value_that_no_column_takes_is_a_dead_letter(tables: PostgresTables) -> None:
    """A null character in a session's name; the run beside it is projected."""
    broken, whole = uuid4(), uuid4()
    feed = Feed(tables)
    await feed.give(*history_of(WAITING, broken, session_id="a\x00b")[:1], *history_of(WAITING, whole))
    assert len(feed.letters) == 1
    known = await tables.load([broken, whole])
    assert known[broken].view is None
    assert known[whole].view == view_of(history_of(WAITING, whole))


async def test_two_writers_at_once_end_with_the_newest_of_each_run(postgres_url: str) -> None:
    """Two gateways that both hold a partition for a moment: no lost update, no deadlock, nothing pending that is decided."""
    await ensure_schema(postgres_url)
    run_ids = [uuid4() for _ in range(20)]
    ahead, behind = PostgresTables(postgres_url), PostgresTables(postgres_url)

    def events(story: Story) -> list[Recorded]:
        return [item for run_id in run_ids for item in history_of(story, run_id)]

    for _ in range(10):
        await asyncio.gather(Feed(ahead).give(*events(FINISHED)), Feed(behind).give(*events(WAITING)))
        known = await ahead.load(run_ids)
        assert {item.view.state.value for item in known.values() if item.view} == {"completed"}
        assert await rows(postgres_url, "select * from views.hitl_pending_approvals") == []
        await rows(postgres_url, "truncate views.hitl_runs, views.hitl_step_events, views.hitl_pending_approvals")
    await ahead.close()
    await behind.close()


async def test_a_rebuild_makes_the_very_tables_that_are_there(tables: PostgresTables, postgres_url: str) -> None:
    """Views, what waits and decisions, folded from the kept events, are what was there; damage is mended."""
    woven = [item for story in (WAITING, FINISHED, RETRIED) for item in history_of(story, uuid4())]
    feed = Feed(tables)
    await feed.give_all([woven[start : start + 4] for start in range(0, len(woven), 4)])
    queries = [
        "select run_id, tenant, version, state, session_id, user_id, created_at, updated_at, view::text from views.hitl_runs order by 1",
        "select * from views.hitl_pending_approvals order by 1",
        "select run_id, version, checkpoint_id, actor, approval::text from views.hitl_approvals order by 1, 2",
        "select run_id, version, record::text from views.hitl_step_events order by 1, 2",
    ]
    before = [await rows(postgres_url, query) for query in queries]
    assert [len(found) for found in before] == [3, 1, 4, len(woven)]
    await rows(postgres_url, "update views.hitl_runs set view = '{}', version = 99")
    await rows(postgres_url, "delete from views.hitl_pending_approvals")
    assert await tables.remake(project_batch) == len(woven)
    assert [await rows(postgres_url, query) for query in queries] == before


async def test_readers_see_the_old_tables_until_a_rebuild_is_done(tables: PostgresTables, postgres_url: str) -> None:
    """And a writer that came meanwhile goes on behind it."""
    run_id = uuid4()
    events = history_of(FINISHED, run_id)
    await Feed(tables).give(*events[:5])
    seen: list[list[tuple[object, ...]]] = []
    looking = "select version from views.hitl_runs"

    def fold(known: object, batch: object) -> Changes:
        seen.append(asyncio.run_coroutine_threadsafe(rows(postgres_url, looking), beside).result())
        return project_batch(known, batch)  # type: ignore[arg-type]

    beside = asyncio.get_running_loop()
    rebuilding = asyncio.to_thread(asyncio.run, _remake(postgres_url, fold))
    await rebuilding
    assert seen == [[(5,)]]
    await Feed(tables).give(*events[5:])
    assert await rows(postgres_url, looking) == [(len(events),)]


async def _remake(url: str, fold: object) -> None:
    tables = PostgresTables(url)
    await tables.remake(fold)  # type: ignore[arg-type]
    await tables.close()


async def test_the_tables_come_back_with_the_server(private_postgres: Postgres) -> None:
    """A connection that broke is Away, then made anew; nobody has to restart anything."""
    url, run_id = private_postgres.url(), uuid4()
    await ensure_schema(url)
    tables, database = PostgresTables(url), Database(url)
    await database.start()
    events = history_of(WAITING, run_id)
    await Feed(tables).give(*events[:2])
    assert not database.is_away
    await private_postgres.stop()
    with pytest.raises(Away):
        await tables.load([run_id])
    with pytest.raises(Away):
        await PostgresViews(database).run(TENANT, run_id)
    watching = asyncio.create_task(database.watch())
    while not database.is_away:  # noqa: ASYNC110 - the pinger tells nobody of an end
        await asyncio.sleep(0.01)
    giving = asyncio.create_task(Feed(tables).give(*events[2:]))
    await private_postgres.start()
    await giving
    await database.wait_until_here(30)
    run = await PostgresViews(database).run(TENANT, run_id)
    assert run is not None
    assert run.version == len(events)
    watching.cancel()
    await tables.close()
    await database.stop()
