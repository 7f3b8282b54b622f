"""The waiting list, the same in memory and in PostgreSQL: its filters, its orders, and pages that stay while rows come and go."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.identity import Principal, Role
from contracts.runs.checkpoints import Checkpoint
from contracts.runs.tasks.readers import Reader, reader_of
from contracts.runs.views import RunView
from gateway.http.cursors import read_bound_cursor, write_bound_cursor
from gateway.ports import WaitingPlace
from gateway.projection.search_words import words_of
from gateway.projection.view import fold
from gateway.projection.waiting_list import EVERYTHING, MOST_COUNTED, NEVER, WaitingFilters, WaitingOrder
from testkit.runs.commands import approve, at_payload_review, cancel
from testkit.runs.histories import history_of
from testkit.runs.people import ADAM, ANN, AUDREY, BO, CY, DI, RITA, ROBERT, principal
from testkit.runs.specification import MORNING, Story
from testkit.runs.tasks import assign, by, claim, reschedule, under

from .read_model import Store, fill, ids
from .stories import TENANT, WAITING

ODD = principal('o"d,d\\{é}', Role.REVIEWER, groups=("a,b", 'c"d'))
"""A name with all that an array's text marks."""


def stories() -> list[Story]:
    """Return runs that wait in many ways."""
    tomorrow = (MORNING + timedelta(days=1)).isoformat()
    return [
        at_payload_review(),
        under({}, by=ROBERT),
        under({"candidates": {"users": ["ann"]}, "priority": 90, "due_seconds": 60}),
        under({"candidates": {"users": ["ann", "bo"]}, "priority": 90, "due_seconds": 7200}).given(by(ANN, claim())),
        under({"candidates": {"groups": ["legal"]}, "priority": 10}).given(by(BO, claim())),
        under({"candidates": {"groups": ["legal", "leads"]}, "due_seconds": 600, "follow_up_at": tomorrow}),
        under({"candidates": {"groups": ["leads"]}}, by=ROBERT).given(by(CY, assign(user="cy"))),
        under({"candidates": {"users": ["di"]}}).given(by(ADAM, reschedule(priority=0, due_at=tomorrow))),
        under({"candidates": {"users": [ODD.subject], "groups": list(ODD.groups)}, "priority": 100}),
        under({"stages": [{"name": "legal", "candidates": {"groups": ["legal"]}}, {"name": "lead"}]}),
    ]


async def filled(store: Store) -> dict[UUID, RunView]:
    """Project all of these runs, and one that is over, in a session each; return what waits."""
    views = {}
    for number, story in enumerate(stories()):
        records = history_of(story, uuid4(), session_id=f"s{number % 3}")
        records = [record.replace(b"a red bicycle", f"a red bicycle No{number}".encode()) for record in records]
        await store.feed().give(*records)
        view = fold(records)
        assert view is not None
        views[view.run_id] = view
    await fill(store, (WAITING.given(cancel()), uuid4()))
    return views


FILTERS: list[WaitingFilters] = [
    EVERYTHING,
    WaitingFilters(step="payload_review"),
    WaitingFilters(step="response_review"),
    WaitingFilters(session_id="s1"),
    WaitingFilters(assignee="cy"),
    WaitingFilters(claimant="ann"),
    WaitingFilters(claimant="nobody"),
    WaitingFilters(group="legal"),
    WaitingFilters(group="a,b"),
    WaitingFilters(group='c"d', priority_min=100),
    WaitingFilters(persons=("ann",)),
    WaitingFilters(persons=("cy", "bo")),
    WaitingFilters(persons=(ODD.subject,)),
    WaitingFilters(persons=("legal",)),
    WaitingFilters(priority_min=50),
    WaitingFilters(priority_min=0),
    WaitingFilters(due_before=MORNING + timedelta(hours=1)),
    WaitingFilters(due_before=datetime.max.replace(tzinfo=UTC)),
    WaitingFilters(follow_up_by=MORNING),
    WaitingFilters(follow_up_by=MORNING + timedelta(days=2)),
    WaitingFilters(words=words_of("BICY red")),
    WaitingFilters(words=words_of("no7")),
    WaitingFilters(words=words_of("cycle")),
    WaitingFilters(words=words_of("red"), group="legal", session_id="s2"),
]
READERS: list[Principal | None] = [
    None,
    *(ADAM, AUDREY, ANN, BO, CY, DI, RITA, ROBERT, ODD),
    principal("eve", Role.REVIEWER, groups=("legal", "leads")),
    principal("stand-in", Role.REVIEWER, on_behalf_of=("ann",)),
    principal("guest"),
]
ORDERS = [WaitingOrder(sort, is_reversed) for sort in ("opened", "due", "priority") for is_reversed in (False, True)]


def naive(view: RunView, filters: WaitingFilters, reader: Principal | None) -> bool:
    """Return whether a run is in a list, by its view alone."""
    shown = view.checkpoint
    assert shown is not None
    return all(_told(view, shown, filters)) and _may_read(view, shown, reader)


def _told(view: RunView, shown: Checkpoint, filters: WaitingFilters) -> Iterator[bool]:
    task, subject = shown.task, str(list(shown.subject.values())).lower()
    named = {task.claimant, task.assignee, *task.candidates.users}
    yield filters.step in (None, shown.step.value)
    yield filters.session_id in (None, view.session_id)
    yield filters.assignee in (None, task.assignee)
    yield filters.claimant in (None, task.claimant)
    yield filters.group is None or filters.group in task.candidates.groups
    yield filters.persons is None or any(person in named for person in filters.persons)
    yield filters.priority_min is None or task.priority >= filters.priority_min
    yield filters.due_before is None or (task.due_at is not None and task.due_at < filters.due_before)
    yield all(f" {word}" in subject or f"'{word}" in subject for word in filters.words)
    yield filters.follow_up_by is None or task.follow_up_at is None or task.follow_up_at <= filters.follow_up_by


def _may_read(view: RunView, shown: Checkpoint, reader: Principal | None) -> bool:
    if reader is None or reader.has(Role.ADMIN, Role.AUDITOR):
        return True
    if reader.has(Role.REQUESTER) and view.requested_by == reader.person:
        return True
    task, candidates = shown.task, shown.task.candidates
    persons = {reader.person, *reader.on_behalf_of}
    asked = (
        candidates.is_everyone
        or not persons.isdisjoint((*candidates.users, task.assignee, task.claimant))
        or not set(reader.groups).isdisjoint(candidates.groups)
    )
    return reader.has(Role.REVIEWER) and asked


def rank(view: RunView, order: WaitingOrder) -> tuple[Any, ...]:
    """Return what a list is sorted by."""
    shown = view.checkpoint
    assert shown is not None
    ranks: dict[str, tuple[Any, ...]] = {
        "opened": (),
        "due": (shown.task.due_at or NEVER,),
        "priority": (-shown.task.priority,),
    }
    return (*ranks[order.sort], shown.opened_at, shown.checkpoint_id)


async def read_all(
    store: Store, filters: WaitingFilters, order: WaitingOrder, reader: Reader | None, limit: int = 3
) -> tuple[list[UUID], set[int]]:
    """Read a list page by page; return its runs, and the totals of its pages."""
    found: list[UUID] = []
    totals: set[int] = set()
    after: WaitingPlace | None = None
    while True:
        page = await store.views.pending(TENANT, limit, after, filters, order, reader)
        found += ids(page)
        totals.add(page.total)
        if (cursor := write_bound_cursor(page.end, "this list")) is None:
            return found, totals
        after = read_bound_cursor(cursor, "this list", order.sort)


async def test_a_list_is_what_a_naive_filter_finds_in_its_order(store: Store) -> None:
    """Each filter for each reader, each order for each filter: every run once, and the total counts them."""
    views = await filled(store)
    for filters, reader in product(FILTERS, READERS):
        order = ORDERS[(FILTERS.index(filters) + READERS.index(reader)) % len(ORDERS)]
        expected = sorted(
            (view for view in views.values() if naive(view, filters, reader)),
            key=lambda view: rank(view, order),
            reverse=order.is_reversed,
        )
        found, totals = await read_all(store, filters, order, reader_of(reader))
        assert found == [view.run_id for view in expected], (filters, order, reader)
        assert totals == {len(expected)}
    assert await store.views.pending("another", 10) == ([], None, 0)


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_pages_stay_while_rows_come_and_go(store: Store, order: WaitingOrder) -> None:
    """Nothing is shown twice, and nothing is left out of what stood all the time at its place."""
    standing = await filled(store)
    chance = random.Random(order.sort)  # noqa: S311 - for a test
    passing = [uuid4() for _ in range(6)]
    found: list[UUID] = []
    after: WaitingPlace | None = None
    while True:
        page = await store.views.pending(TENANT, 2, after, order=order)
        found += ids(page)
        if (after := page.end) is None:
            break
        if passing:
            story = chance.choice([WAITING, under({"priority": 95, "due_seconds": 30}), under({"priority": 5})])
            await fill(store, (story, passing.pop()))
            gone = chance.choice(list(standing))
            del standing[gone]
            await leave(store, gone)
    assert len(set(found)) == len(found)
    assert standing.keys() <= set(found)


async def leave(store: Store, run_id: UUID) -> None:
    """Let a run wait no longer."""
    history = await store.views.history(TENANT, run_id, 0, 100)
    cancelled = history_of(WAITING.given(cancel()), run_id)[-1]
    version = len(history.events) + 1
    await store.feed().give(cancelled.replace(b'"version":4', b'"version":%d' % version))


async def test_an_item_that_moves_is_where_it_stands_now(store: Store) -> None:
    """Claimed, assigned and rescheduled: the same checkpoint under other filters, once."""
    story, run_id = under({"candidates": {"users": ["ann"]}}), uuid4()
    await fill(store, (story, run_id))
    mine = WaitingFilters(persons=("bo",))
    assert ids(await store.views.pending(TENANT, 10, filters=mine)) == []
    story = story.given(by(ADAM, assign(user="bo")), by(ADAM, reschedule(priority=99)))
    await fill(store, (story, run_id))
    assert ids(await store.views.pending(TENANT, 10, filters=mine)) == [run_id]
    assert ids(await store.views.pending(TENANT, 10, filters=WaitingFilters(priority_min=99))) == [run_id]
    await fill(store, (story.given(by(ANN, approve())), run_id))
    assert await store.views.pending(TENANT, 10) == ([], None, 0)


async def test_a_total_is_counted_to_its_bound(store: Store) -> None:
    """One page says it, whatever its size."""
    await fill(store, *((WAITING, uuid4()) for _ in range(5)))
    page = await store.views.pending(TENANT, 2)
    assert (len(page.views), page.total, MOST_COUNTED) == (2, 5, 10_000)


async def test_runs_are_listed_for_who_may_read_them(store: Store) -> None:
    """Those that are over too: who was asked once may read what became of it."""
    named, grouped, plain, unasked = uuid4(), uuid4(), uuid4(), uuid4()
    await fill(
        store,
        (under({"candidates": {"users": ["ann"]}}).given(by(ANN, approve())), named),
        (under({"candidates": {"groups": ["legal"]}}, by=ROBERT), grouped),
        (under({}), plain),
    )
    await store.feed().give(history_of(under({}), unasked)[0])
    expected = {
        None: {named, grouped, plain, unasked},
        ADAM: {named, grouped, plain, unasked},
        AUDREY: {named, grouped, plain, unasked},
        ANN: {named, plain},
        BO: {grouped, plain},
        CY: {plain},
        RITA: {named, plain, unasked},
        ROBERT: {grouped},
        principal("rita", Role.REQUESTER, Role.REVIEWER, groups=("legal",)): {named, grouped, plain, unasked},
        principal("guest"): set(),
    }
    for who, runs in expected.items():
        reader = reader_of(who)
        assert set(ids(await store.views.runs(TENANT, 10, reader=reader))) == runs, who
        if reader is not None:
            for run_id in (named, grouped, plain, unasked):
                assert await store.views.may_read(TENANT, run_id, reader) is (run_id in runs)
            assert not await store.views.may_read("another", plain, reader)
            assert not await store.views.may_read(TENANT, uuid4(), reader)
