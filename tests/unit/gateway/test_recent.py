"""What was written a moment ago is read from memory: only then, only so far, only by its tenant."""

from __future__ import annotations

from uuid import uuid4

from contracts.runs.views import RunView
from gateway.fakes.memory import MemoryTables
from gateway.following import Following
from gateway.projection import Moved, project_batch
from gateway.recent import FRESH_SECONDS, Recent
from support.asking import at_payload_review
from support.projecting import Feed, history_of

TENANT = "default"
RUN_ID = uuid4()
EVENTS = history_of(at_payload_review(), RUN_ID)


def moved(events: int) -> Moved:
    """Return a run as the projection moved it."""
    return project_batch({}, EVENTS[:events]).moved[RUN_ID]


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_run_is_found_as_it_was_written_last() -> None:
    """From the version that was asked for on, and never an older one."""
    recent = Recent(Clock())
    recent.written([moved(1)])
    recent.written([moved(3)])
    run = recent.run(TENANT, RUN_ID, 2)
    assert run is not None
    assert RunView.model_validate_json(run.view) == moved(3).view
    assert (run.version, run.state) == (3, moved(3).view.state.value)
    assert recent.run(TENANT, RUN_ID, 4) is None
    assert recent.run("another", RUN_ID, 1) is None
    assert recent.run(TENANT, uuid4(), 1) is None


def test_what_was_written_earlier_is_not_taken_for_the_newest() -> None:
    """Another gateway may have the run's partition by now."""
    clock = Clock()
    recent = Recent(clock)
    recent.written([moved(3)])
    clock.now += FRESH_SECONDS
    assert recent.run(TENANT, RUN_ID, 1) is not None
    clock.now += 0.001
    assert recent.run(TENANT, RUN_ID, 1) is None
    recent.written([])
    clock.now -= FRESH_SECONDS
    assert recent.run(TENANT, RUN_ID, 1) is None, "what is stale is forgotten"


async def test_a_version_that_was_just_written_is_read_without_the_database() -> None:
    """A read that names none is the database's."""
    tables = MemoryTables()
    feed = Feed(tables)
    await feed.give(*EVENTS[:3])
    written, tables.moved = tables.moved, {}
    following = Following(tables, feed.arrivals)
    run = await following.reached(TENANT, RUN_ID, 3, seconds=0)
    assert run is not None
    assert run.version == 3
    assert await following.reached(TENANT, RUN_ID, 0, seconds=0) is None
    tables.moved = written
    assert await following.reached(TENANT, RUN_ID, 0, seconds=0) == run


async def test_a_batch_that_was_overtaken_is_not_taken_for_written() -> None:
    """What another gateway wrote meanwhile stands in the tables, and nowhere else."""
    tables = MemoryTables()
    ahead, behind = Feed(tables), Feed(tables)
    await behind.give(EVENTS[0])
    await ahead.give(*EVENTS)
    await behind.give(EVENTS[1])
    run = await Following(tables, behind.arrivals).reached(TENANT, RUN_ID, 2, seconds=0)
    assert run is not None
    assert run.version == len(EVENTS)


def test_a_run_that_has_not_come_so_far_is_known_to_be_behind() -> None:
    """Then nobody need ask the tables; of a run that was not written lately nothing is known."""
    clock = Clock()
    recent = Recent(clock)
    recent.written([moved(3)])
    assert recent.is_behind(RUN_ID, 4)
    assert not recent.is_behind(RUN_ID, 3)
    assert not recent.is_behind(uuid4(), 1)
    clock.now += 2 * FRESH_SECONDS
    assert not recent.is_behind(RUN_ID, 4)
