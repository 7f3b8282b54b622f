"""The read model in PostgreSQL keeps the promises of the one in memory, and its own: transactions, writers, schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from contracts.runs.events import RunEvent
from contracts.runs.views import RunView
from gateway.adapters.database import Database
from gateway.adapters.tables import PostgresTables, ensure_schema
from gateway.adapters.views import PostgresViews
from gateway.fakes.memory import MemoryTables
from gateway.ports import Away, Page, Place, Tables, Views
from gateway.projection import Changes, project_batch
from local_stack.postgres import Postgres
from support.asking import approve, at_error_review, at_payload_review, cancel, executed, retry
from support.deciding import Story
from support.projecting import Append, Feed, appending_at, appending_to, history_of, view_of

TENANT = "default"
WAITING = at_payload_review()
FINISHED = WAITING.given(approve(), executed(), approve())
RETRIED = at_error_review().given(retry())


@dataclass
class Store:
    """A read model: what writes it and what reads it."""

    tables: Tables
    views: Views
    append: Append

    def feed(self) -> Feed:
        """Return a projector that fills it."""
        return Feed(self.tables, self.append)


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[Store]:
    """Give an empty read model, in memory and in PostgreSQL."""
    if request.param == "memory":
        memory = MemoryTables()
        yield Store(memory, memory, appending_to(memory))
        return
    await ensure_schema(postgres_url)
    tables, database = PostgresTables(postgres_url), Database(postgres_url)
    await database.start()
    yield Store(tables, PostgresViews(database), appending_at(postgres_url))
    await tables.close()
    await database.stop()


async def fill(store: Store, *histories: tuple[Story, UUID], **members: object) -> None:
    """Project whole histories."""
    for story, run_id in histories:
        await store.feed().give(*history_of(story, run_id, **members))


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
    records = history_of(FINISHED, run_id)
    assert [event.record for event in await store.views.history(TENANT, run_id, 0, 100)] == records
    assert [event.version for event in await store.views.history(TENANT, run_id, 2, 3)] == [3, 4, 5]
    assert await store.views.history("another", run_id, 0, 100) == []


async def test_what_is_read_and_what_is_listed_agree(store: Store) -> None:
    """A run is shown as its row stands, also where the record is ahead: who reads it finds it in the list."""
    run_id = uuid4()
    await fill(store, (WAITING, run_id))
    await store.append(history_of(FINISHED, run_id))
    view = view_of(history_of(WAITING, run_id))
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    assert RunView.model_validate_json(run.view) == view
    assert len(await store.views.history(TENANT, run_id, 0, 100)) == view.version
    (listed,) = (await store.views.runs(TENANT, 10, state="payload_review")).views
    assert listed == run.view


async def test_what_was_never_recorded_is_nobodys_run(store: Store) -> None:
    """Whoever can write to the topic cannot make one up."""
    await store.feed().deliver(*history_of(WAITING, uuid4()))
    await fill(store, (WAITING, run_id := uuid4()))
    assert ids(await store.views.runs(TENANT, 10)) == [run_id]
    assert ids(await store.views.pending(TENANT, 10)) == [run_id]


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
        events = [RunEvent.parse(record) for record in history_of(WAITING, run_id)]
        late = [event.model_copy(update={"at": event.at + timedelta(hours=number // 2)}) for event in events]
        await store.feed().give(*(event.to_bytes() for event in late))

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
        if ";" in query:
            await connection.execute(query)
            return []
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_many_gateways_may_make_the_schema_at_once(postgres_url: str) -> None:
    """Each finds it made, by itself or by another."""
    await asyncio.gather(*(ensure_schema(postgres_url) for _ in range(8)))
    tables = await rows(postgres_url, "select tablename from pg_tables where schemaname = 'views' order by 1")
    assert tables == [("hitl_approvals",), ("hitl_pending_approvals",), ("hitl_runs",)]


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
    await ensure_schema(postgres_url)
    await ensure_schema(postgres_url)
    found = await rows(postgres_url, "select run_id, ended from views.hitl_runs order by ended")
    assert found == [(run_ids[0], "completed"), (run_ids[1], None)]
    assert await rows(postgres_url, "select * from views.hitl_step_events") == []


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
    feed = Feed(tables, appending_at(postgres_url))
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
    """Two gateways that both hold a partition for a moment: no lost update, no deadlock, nothing pending that is decided."""
    await ensure_schema(postgres_url)
    run_ids = [uuid4() for _ in range(20)]
    ahead, behind = PostgresTables(postgres_url), PostgresTables(postgres_url)

    def events(story: Story) -> list[bytes]:
        return [item for run_id in run_ids for item in history_of(story, run_id)]

    append = appending_at(postgres_url)
    for _ in range(10):
        await asyncio.gather(Feed(ahead, append).give(*events(FINISHED)), Feed(behind, append).give(*events(WAITING)))
        found = await rows(postgres_url, "select state, count(*) from views.hitl_runs group by 1")
        assert found == [("completed", len(run_ids))]
        assert await rows(postgres_url, "select * from views.hitl_pending_approvals") == []
        await rows(postgres_url, "truncate views.hitl_runs, views.hitl_pending_approvals")
    await ahead.close()
    await behind.close()


async def test_a_rebuild_makes_the_very_tables_that_are_there(tables: PostgresTables, postgres_url: str) -> None:
    """Rows, what waits and decisions, folded from the record, are what was there; damage is mended."""
    woven = [item for story in (WAITING, FINISHED, RETRIED) for item in history_of(story, uuid4())]
    feed = Feed(tables, appending_at(postgres_url))
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
    feed = Feed(tables, appending_at(postgres_url))
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
    """A connection that broke is Away, then made anew; nobody has to restart anything."""
    url, run_id = private_postgres.url(), uuid4()
    await ensure_schema(url)
    tables, database = PostgresTables(url), Database(url)
    await database.start()
    events = history_of(WAITING, run_id)
    append = appending_at(url)
    await append(events)
    await Feed(tables).deliver(*events[:2])
    assert not database.is_away
    await private_postgres.stop()
    with pytest.raises(Away):
        await tables.load([run_id])
    with pytest.raises(Away):
        await PostgresViews(database).run(TENANT, run_id)
    watching = asyncio.create_task(database.watch())
    while not database.is_away:  # noqa: ASYNC110 - the pinger tells nobody of an end
        await asyncio.sleep(0.01)
    giving = asyncio.create_task(Feed(tables).deliver(*events[2:]))
    await private_postgres.start()
    await giving
    await database.wait_until_here(30)
    assert await rows(url, "select version from views.hitl_runs") == [(len(events),)]
    run = await PostgresViews(database).run(TENANT, run_id)
    assert run is not None
    assert run.version == len(events)
    watching.cancel()
    await tables.close()
    await database.stop()
