"""What was answered a moment ago is read from memory: only then, only so far, only by its tenant."""

from __future__ import annotations

from uuid import uuid4

from gateway.fakes.memory import MemoryTables
from gateway.folding import run_of
from gateway.following import Following
from gateway.ports import Run
from gateway.recent import FRESH_SECONDS, Recent
from support.asking import at_payload_review
from support.projecting import Feed, history_of, view_of

TENANT = "default"
RUN_ID = uuid4()
EVENTS = history_of(at_payload_review(), RUN_ID)


def at(events: int) -> Run:
    """Return the run as it is answered after so many events."""
    return run_of(view_of(EVENTS[:events]))


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_run_is_found_as_it_was_answered_last() -> None:
    """From the version that was asked for on, and never an older one."""
    recent = Recent(Clock())
    recent.answered(TENANT, RUN_ID, at(1))
    recent.answered(TENANT, RUN_ID, at(3))
    assert recent.run(TENANT, RUN_ID, 2) == at(3)
    assert recent.run(TENANT, RUN_ID, 4) is None
    assert recent.run("another", RUN_ID, 1) is None
    assert recent.run(TENANT, uuid4(), 1) is None


def test_a_late_answer_of_an_earlier_version_is_passed_over() -> None:
    """A command that was asked twice is answered with how the run stood then."""
    recent = Recent(Clock())
    recent.answered(TENANT, RUN_ID, at(3))
    recent.answered(TENANT, RUN_ID, at(1))
    assert recent.run(TENANT, RUN_ID, 1) == at(3)


def test_what_was_answered_earlier_is_not_taken_for_the_newest() -> None:
    """The run may have moved on since."""
    clock = Clock()
    recent = Recent(clock)
    recent.answered(TENANT, RUN_ID, at(3))
    clock.now += FRESH_SECONDS
    assert recent.run(TENANT, RUN_ID, 1) is not None
    clock.now += 0.001
    assert recent.run(TENANT, RUN_ID, 1) is None
    recent.answered(TENANT, uuid4(), at(1))
    clock.now -= FRESH_SECONDS
    assert recent.run(TENANT, RUN_ID, 1) is None, "what is stale is forgotten"


async def test_a_version_that_was_just_answered_is_read_without_the_database() -> None:
    """A read that names none is the database's, which may know more."""
    tables = MemoryTables()
    feed = Feed(tables)
    await feed.give(*EVENTS)
    following = Following(tables, feed.arrivals)
    feed.arrivals.recent.answered(TENANT, RUN_ID, at(2))
    tables.away = True
    assert await following.reached(TENANT, RUN_ID, 2, seconds=0) == at(2)
    tables.away = False
    assert await following.reached(TENANT, RUN_ID, 3, seconds=0) == at(len(EVENTS))
    assert await following.reached(TENANT, RUN_ID, 0, seconds=0) == at(len(EVENTS))
