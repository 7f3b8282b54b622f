"""What was answered a moment ago is read from memory: only then, only so far, only by its tenant."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts.runs.views import RenderedView, render
from gateway.errors import DatabaseUnavailable
from gateway.read_model.answer_cache import FRESH_SECONDS, MOST_BYTES, AnswerCache
from gateway.read_model.follower import Follower
from gateway.testing.memory import MemoryTables
from testkit.runs.commands import at_payload_review
from testkit.runs.histories import Feed, history_of, view_of

TENANT = "default"
RUN_ID = uuid4()
EVENTS = history_of(at_payload_review(), RUN_ID)


def at(events: int) -> RenderedView:
    """Return the run as it is answered after so many events."""
    return render(view_of(EVENTS[:events]))


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def cache_at(answered: int, reached: int, clock: Clock | None = None) -> AnswerCache:
    """Return what is kept of an answer, with the read model at a version."""
    cache = AnswerCache(clock or Clock())
    cache.answered(TENANT, RUN_ID, at(answered))
    cache.moved({RUN_ID: reached, uuid4(): 9})
    return cache


def test_a_run_is_found_as_it_was_answered_last() -> None:
    """From the version that was asked for on, and never an older one."""
    cache = cache_at(1, 1)
    cache.answered(TENANT, RUN_ID, at(3))
    cache.moved({RUN_ID: 3})
    assert cache.run(TENANT, RUN_ID, 2) == at(3)
    assert cache.run(TENANT, RUN_ID, 4) is None
    assert cache.run("another", RUN_ID, 1) is None
    assert cache.run(TENANT, uuid4(), 1) is None


def test_what_the_read_model_has_not_reached_is_not_told_yet() -> None:
    """Lists do not show it yet, and the tables need not be read for it."""
    cache = cache_at(3, 2)
    assert cache.run(TENANT, RUN_ID, 3) is None
    assert cache.is_behind(TENANT, RUN_ID, 3)
    assert not cache.is_behind(TENANT, RUN_ID, 2), "the tables have it"
    assert not cache.is_behind(TENANT, RUN_ID, 4), "this gateway has not answered it"
    assert not cache.is_behind("another", RUN_ID, 3)
    assert not cache_at(3, 0).is_behind(TENANT, RUN_ID, 3), "another gateway may keep the run's partition"
    cache.moved({RUN_ID: 3})
    assert cache.run(TENANT, RUN_ID, 3) == at(3)
    assert not cache.is_behind(TENANT, RUN_ID, 3)


def test_an_answer_that_the_read_model_has_left_behind_is_not_told() -> None:
    """The tables have a newer one."""
    assert cache_at(2, 3).run(TENANT, RUN_ID, 2) is None


def test_a_late_answer_of_an_earlier_version_is_passed_over() -> None:
    """A command that was asked twice is answered with how the run stood then."""
    cache = cache_at(3, 3)
    cache.answered(TENANT, RUN_ID, at(1))
    assert cache.run(TENANT, RUN_ID, 1) == at(3)


def test_what_was_answered_earlier_is_not_taken_for_the_newest() -> None:
    """Another gateway may keep the run's partition by now."""
    clock = Clock()
    cache = cache_at(3, 3, clock)
    clock.now += FRESH_SECONDS
    assert cache.run(TENANT, RUN_ID, 1) is not None
    clock.now += 0.001
    assert cache.run(TENANT, RUN_ID, 1) is None
    cache.answered(TENANT, uuid4(), at(1))
    clock.now -= FRESH_SECONDS
    assert cache.run(TENANT, RUN_ID, 1) is None, "what is stale is forgotten"


async def test_a_version_that_was_just_answered_is_read_without_the_database() -> None:
    """A read that names none is the database's."""
    tables = MemoryTables()
    feed = Feed(tables)
    follower = Follower(tables, feed.waiters)
    feed.waiters.answers.answered(TENANT, RUN_ID, at(2))
    await feed.give(*EVENTS[:2])
    tables.unavailable = True
    assert await follower.reached(TENANT, RUN_ID, 2, seconds=0) == at(2)
    with pytest.raises(DatabaseUnavailable):
        await follower.reached(TENANT, RUN_ID, 0, seconds=0)


async def test_an_answer_that_is_on_its_way_is_waited_for_without_asking() -> None:
    """It comes with the projection of this process, and at the latest from the tables when the time is up."""
    tables = MemoryTables()
    feed = Feed(tables)
    follower = Follower(tables, feed.waiters)
    feed.waiters.answers.answered(TENANT, RUN_ID, at(1))
    await feed.give(EVENTS[0])
    feed.waiters.answers.answered(TENANT, RUN_ID, at(2))
    tables.unavailable = True
    waiting = asyncio.create_task(follower.reached(TENANT, RUN_ID, 2, seconds=60))
    await asyncio.sleep(0)
    tables.unavailable = False
    await feed.give(EVENTS[1])
    assert await waiting == at(2)


def test_large_answers_push_the_oldest_out() -> None:
    """However many are given within a second, they have a bound in bytes together."""
    cache, runs = AnswerCache(Clock()), [uuid4() for _ in range(5)]
    for run_id in (*runs, runs[-1]):
        view = RenderedView(1, "created", b"x" * (MOST_BYTES // 4), datetime.now(UTC), is_final=False)
        cache.answered(TENANT, run_id, view)
    assert [cache.version(TENANT, run_id) for run_id in runs] == [0, 1, 1, 1, 1]
