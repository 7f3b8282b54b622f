"""The views of the read model: runs, histories and open checkpoints, the same in memory and in PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView
from gateway.ports import History, WaitingPage
from gateway.projection.long_views import LONG
from gateway.projection.pages import PAGE_BYTES
from gateway.projection.waiting_list import WaitingFilters
from testkit.runs.commands import approve, cancel, executed, pause, resume
from testkit.runs.histories import history_of, view_of

from .read_model import Store, fill, ids
from .stories import FINISHED, TENANT, WAITING


def large_history(run_id: UUID, size: int) -> list[bytes]:
    """Return a history whose prompt has `size` bytes, wherever it stands."""
    return [event.replace(b"a red bicycle", b"x" * size) for event in history_of(WAITING, run_id)]


async def test_a_run_is_read_as_it_was_folded(store: Store) -> None:
    """Field by field, with the version and state beside it; another tenant sees nothing."""
    run_id = uuid4()
    await fill(store, (WAITING, run_id))
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    view = view_of(history_of(WAITING, run_id))
    assert RunView.model_validate_json(run.json) == view
    assert (run.version, run.state) == (view.version, "payload_review")
    assert await store.views.run("another", run_id) is None
    assert await store.views.run(TENANT, uuid4()) is None


async def test_a_history_is_every_event_in_order_as_it_came(store: Store) -> None:
    """In pages, from behind a version on, and for its own tenant alone."""
    run_id = uuid4()
    await fill(store, (FINISHED, run_id))
    records = history_of(FINISHED, run_id)
    assert [event.json for event in (await store.views.history(TENANT, run_id, 0, 100)).events] == records
    assert [event.version for event in (await store.views.history(TENANT, run_id, 2, 3)).events] == [3, 4, 5]
    assert await store.views.history("another", run_id, 0, 100) == History([], more=False)


async def test_what_is_read_and_what_is_listed_agree(store: Store) -> None:
    """A run is shown as its row stands, also where the record is ahead: who reads it finds it in the list."""
    run_id = uuid4()
    await fill(store, (WAITING, run_id))
    await store.append(history_of(FINISHED, run_id))
    view = view_of(history_of(WAITING, run_id))
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    assert RunView.model_validate_json(run.json) == view
    assert len((await store.views.history(TENANT, run_id, 0, 100)).events) == view.version
    (listed,) = (await store.views.runs(TENANT, 10, state="payload_review")).views
    assert listed == run.json


async def test_a_row_may_stand_within_a_decision(store: Store) -> None:
    """What one command caused is recorded at once and comes one by one: read, listed and told up to where the row stands."""
    run_id = uuid4()
    events = history_of(WAITING, run_id)
    await store.append(events)
    await store.feed().deliver(*events[:-1])
    view = view_of(events[:-1])
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    assert RunView.model_validate_json(run.json) == view
    assert list((await store.views.runs(TENANT, 10)).views) == [run.json]
    assert [event.json for event in (await store.views.history(TENANT, run_id, 0, 100)).events] == events[:-1]
    await store.feed().deliver(events[-1])
    assert ids(await store.views.pending(TENANT, 10)) == [run_id]


async def test_a_run_that_was_never_recorded_is_not_shown(store: Store) -> None:
    """A writer to the topic cannot invent a run."""
    await store.feed().deliver(*history_of(WAITING, uuid4()))
    await fill(store, (WAITING, run_id := uuid4()))
    assert ids(await store.views.runs(TENANT, 10)) == [run_id]
    assert ids(await store.views.pending(TENANT, 10)) == [run_id]


async def test_what_waits_is_listed_until_it_is_decided(store: Store) -> None:
    """A checkpoint is listed from its opening to its end, by a decision or otherwise."""
    run_id, other = uuid4(), uuid4()
    await fill(store, (WAITING, run_id), (WAITING, other))
    assert set(ids(await store.views.pending(TENANT, 10))) == {run_id, other}
    await fill(store, (WAITING.given(cancel()), run_id), (FINISHED, other))
    assert await store.views.pending(TENANT, 10) == WaitingPage([], None, 0)


async def test_another_checkpoint_takes_the_place_of_the_one_decided(store: Store) -> None:
    """A run waits for one decision at a time."""
    run_id = uuid4()
    await fill(store, (WAITING, run_id), (WAITING.given(approve(), executed()), run_id))
    page = await store.views.pending(TENANT, 10)
    pending = RunView.model_validate_json(page.views[0]).checkpoint
    assert pending is not None
    assert (len(page.views), pending.step.value) == (1, "response_review")
    assert ids(await store.views.pending(TENANT, 10, filters=WaitingFilters(step="response_review"))) == [run_id]
    assert ids(await store.views.pending(TENANT, 10, filters=WaitingFilters(step="payload_review"))) == []


async def test_what_waits_is_filtered(store: Store) -> None:
    """By session, and by persons and groups that no rule names here."""
    run_id, other = uuid4(), uuid4()
    await fill(store, (WAITING, run_id), session_id="s1")
    await fill(store, (WAITING, other), session_id="s2")
    assert ids(await store.views.pending(TENANT, 10, filters=WaitingFilters(session_id="s2"))) == [other]
    assert ids(await store.views.pending(TENANT, 10, filters=WaitingFilters(assignee="ada"))) == []
    assert ids(await store.views.pending(TENANT, 10, filters=WaitingFilters(group="legal"))) == []
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
        place: Any = None
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


async def test_a_page_ends_by_its_bytes(store: Store) -> None:
    """Large runs make short pages, whose cursors go through all of them once; one run that is larger than a page is a page."""
    large = [uuid4() for _ in range(12)]
    for run_id, size in zip(large, [*[200_000] * 11, PAGE_BYTES], strict=True):
        await store.feed().give(*large_history(run_id, size))
    for read in (store.views.runs, store.views.pending):
        found: list[UUID] = []
        after: Any = None
        pages = 0
        while pages == 0 or after is not None:
            page = await read(TENANT, 200, after)
            assert len(page.views) == 1 or sum(map(len, page.views)) <= PAGE_BYTES
            found += ids(page)
            after, pages = page.end, pages + 1
        assert sorted(found) == sorted(large)
        assert 2 < pages <= 12


async def test_a_part_of_a_history_ends_by_its_bytes(store: Store) -> None:
    """The parts go through every event once, whatever its size; a run is read whole all the same."""
    run_id = uuid4()
    records = large_history(run_id, PAGE_BYTES * 3 // 4)
    await store.feed().give(*records)
    found: list[bytes] = []
    more, parts = True, 0
    while more:
        events, more = await store.views.history(TENANT, run_id, len(found), 500)
        assert len(events) == 1 or sum(len(event.json) for event in events) <= PAGE_BYTES
        found += [event.json for event in events]
        parts += 1
    assert (found == records, parts > 1) == (True, True)
    run = await store.views.run(TENANT, run_id)
    assert run is not None
    assert RunView.model_validate_json(run.json) == view_of(records)


async def test_a_long_history_is_read_once(store: Store) -> None:
    """A view of many events is kept and goes on from there; it stays what the whole history says."""
    run_id, story = uuid4(), WAITING
    for _ in range(LONG):
        story = story.given(pause(), resume())
    records = history_of(story, run_id)
    for part in (records[:-6], records[-6:-3], records[-3:]):
        await store.feed().give(*part)
        known = records[: len((await store.views.history(TENANT, run_id, 0, 1000)).events)]
        for _ in range(2):
            run = await store.views.run(TENANT, run_id)
            assert run is not None
            assert RunView.model_validate_json(run.json) == view_of(known)
            assert (await store.views.runs(TENANT, 10)).views == [run.json]
    assert await store.views.run("another", run_id) is None


async def test_open_runs_are_a_list_of_their_own(store: Store) -> None:
    """Whatever they wait for, in one question."""
    waiting, finished = uuid4(), uuid4()
    await fill(store, (WAITING, waiting), (FINISHED, finished))
    assert ids(await store.views.runs(TENANT, 10, is_open=True)) == [waiting]
    assert set(ids(await store.views.runs(TENANT, 10))) == {waiting, finished}
