"""The projector over a read model in memory: held batches, dead letters, overtaken gateways, offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import pytest

from gateway.projection.rows import Changes, RunRow
from gateway.testing.memory import MemoryTables
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.histories import Feed, history_of, no_append

RUN_ID = uuid4()
FINISHED = at_payload_review().given(approve(), executed(), approve())
EVENTS = history_of(FINISHED, RUN_ID)


class Asked(MemoryTables):
    """Tells when it was asked so many times to write."""

    def __init__(self, times: int, refuses: Callable[[RunRow], bool] = lambda _: False) -> None:
        super().__init__(refuses)
        self._times = times
        self.asked = asyncio.Event()

    async def write(self, changes: Changes) -> set[UUID]:
        """Count, then answer."""
        self._times -= 1
        if self._times <= 0:
            self.asked.set()
        return await super().write(changes)


def version_of(tables: MemoryTables, run_id: UUID = RUN_ID) -> int:
    """Return the version that a run has reached, 0 for none."""
    return tables.rows[run_id].version if run_id in tables.rows else 0


async def test_a_malformed_record_becomes_a_dead_letter_and_harms_no_other() -> None:
    """The records around it are projected, its bytes and the reason go to the dead-letter topic, the offset moves past it."""
    tables = MemoryTables()
    feed = Feed(tables)
    await feed.give(EVENTS[0], b"\xffnot an event", EVENTS[1], None)
    assert version_of(tables) == 2
    assert [(letter.topic, letter.value) for letter in feed.letters] == [
        ("run.events.dead", b"\xffnot an event"),
        ("run.events.dead", None),
    ]
    assert {name for name, _ in feed.letters[0].headers} >= {"error", "source-offset"}
    assert feed.committed == {0: 4}


async def test_a_batch_is_held_while_the_database_is_unavailable() -> None:
    """Nothing is skipped and no offset moves; when the database returns, the batch is written."""
    tables = Asked(times=3)
    tables.unavailable = True
    feed = Feed(tables)
    giving = asyncio.create_task(feed.give(*EVENTS))
    await tables.asked.wait()
    assert (version_of(tables), feed.committed) == (0, {})
    tables.unavailable = False
    await giving
    assert (version_of(tables), feed.committed) == (len(EVENTS), {0: len(EVENTS)})


async def test_events_that_are_held_are_an_obstacle_to_readiness() -> None:
    """While the database does not take them readiness says why, and no longer than that."""
    tables = Asked(times=3)
    feed = Feed(tables)
    await feed.projector.obstacle.check()
    tables.unavailable = True
    giving = asyncio.create_task(feed.give(*EVENTS))
    await tables.asked.wait()
    with pytest.raises(ConnectionError, match="events are held: gone"):
        await feed.projector.obstacle.check()
    tables.unavailable = False
    await giving
    await feed.projector.obstacle.check()


async def test_an_event_that_is_refused_after_an_outage_is_no_obstacle() -> None:
    """It is a dead letter: readiness does not wait for the next event."""
    tables = Asked(times=1, refuses=lambda row: row.run_id == RUN_ID)
    feed = Feed(tables)
    tables.unavailable = True
    giving = asyncio.create_task(feed.give(EVENTS[0]))
    await tables.asked.wait()
    tables.unavailable = False
    await giving
    assert [letter.value for letter in feed.letters] == EVENTS[:1]
    await feed.projector.obstacle.check()


async def test_a_held_batch_is_let_go_when_the_process_stops() -> None:
    """A stop does not wait for the database; the batch is read again at the next start, for no offset moved."""
    tables = Asked(times=1)
    tables.unavailable = True
    feed = Feed(tables)
    giving = asyncio.create_task(feed.give(*EVENTS))
    await tables.asked.wait()
    feed.projector.close()
    await giving
    tables.unavailable = False
    await feed.give(*EVENTS)
    assert (version_of(tables), feed.committed) == (0, {})


async def test_an_event_that_the_database_refuses_becomes_a_dead_letter() -> None:
    """One value that no column takes does not hold up the batch, and harms no other run."""
    tables = MemoryTables(refuses=lambda row: row.run_id == RUN_ID)
    feed, other = Feed(tables), uuid4()
    await feed.give(*EVENTS[:2], *history_of(FINISHED, other))
    assert [letter.value for letter in feed.letters] == EVENTS[:2]
    assert (version_of(tables), version_of(tables, other)) == (0, len(EVENTS))
    assert feed.committed == {0: 2 + len(EVENTS)}


async def test_what_another_gateway_projected_meanwhile_is_no_gap() -> None:
    """A partition was lost and assigned again: the cache of rows is stale, and the tables correct it."""
    tables = MemoryTables()
    here, there = Feed(tables), Feed(tables)
    await here.give(*EVENTS[:3])
    await there.give(*EVENTS[3:6])
    await here.give(*EVENTS[6:])
    assert version_of(tables) == len(EVENTS)


async def test_a_gateway_that_slept_cannot_turn_a_run_back() -> None:
    """A batch that was read before the partition moved is written after it: the newer view stays."""
    tables = MemoryTables()
    slow, fast = Feed(tables), Feed(tables)
    await slow.give(*EVENTS[:2])
    await fast.give(*EVENTS)
    await slow.give(*EVENTS[2:5])
    assert version_of(tables) == len(EVENTS)
    await slow.give(*EVENTS[5:])
    assert version_of(tables) == len(EVENTS)


async def test_a_batch_that_comes_again_changes_nothing() -> None:
    """From its beginning, as after a start: also the first event of a run that is over."""
    tables = MemoryTables()
    await Feed(tables).give(*EVENTS)
    rows, decisions = dict(tables.rows), dict(tables.approvals)
    feed = Feed(tables)
    await feed.give(*EVENTS[:5])
    await feed.give(*EVENTS)
    assert (tables.rows, tables.approvals) == (rows, decisions)


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_an_event_that_never_came_is_read_in_the_record(size: int) -> None:
    """It was written there before it was published: the run goes on, however the batches are cut."""
    tables, other = MemoryTables(), uuid4()
    for record in EVENTS:
        tables.append(record)
    events = [*EVENTS[:2], *EVENTS[3:], *history_of(FINISHED, other)]
    await Feed(tables).give_all(events[start : start + size] for start in range(0, len(events), size))
    assert (version_of(tables), version_of(tables, other)) == (len(EVENTS), len(EVENTS))


async def test_an_event_that_was_never_recorded_moves_no_run_on() -> None:
    """What follows it stands in the air; other runs go on, and when it is there so does this one."""
    tables, other = MemoryTables(), uuid4()
    feed = Feed(tables)
    await feed.give(*EVENTS[:2], *EVENTS[3:5], *history_of(FINISHED, other))
    assert (version_of(tables), version_of(tables, other)) == (2, len(EVENTS))
    await feed.give(EVENTS[2])
    assert version_of(tables) == 5


@pytest.mark.parametrize("kept", [0, 3])
async def test_a_view_that_is_ahead_of_the_record_stays_and_holds_up_nothing(kept: int) -> None:
    """The record was restored from an older copy, or lost: other runs go on, and the process does not try for ever."""
    tables, other = MemoryTables(), uuid4()
    await Feed(tables).give(*EVENTS[:5])
    tables.ledger[RUN_ID] = {version: tables.ledger[RUN_ID][version] for version in range(1, kept + 1)}
    feed = Feed(tables, no_append)
    await feed.give(*EVENTS, *history_of(FINISHED, other))
    assert (version_of(tables), version_of(tables, other)) == (5, len(EVENTS))
    assert feed.committed == {0: 2 * len(EVENTS)}


async def test_an_error_of_ours_ends_the_process_and_moves_no_offset() -> None:
    """FastStream would log it and read on; the batch, and all after it, must be read again instead."""

    class Broken(MemoryTables):
        async def write(self, changes: Changes) -> set[UUID]:
            raise RuntimeError(f"cannot write {len(changes.moved)} runs")

    feed = Feed(Broken())
    for event in EVENTS[:2]:
        with pytest.raises(RuntimeError, match="cannot write 1 runs"):
            await feed.give(event)
    assert len(feed.failures) == 1
    assert feed.committed == {}


async def test_who_waits_for_a_run_is_woken_by_its_events() -> None:
    """A reader that asks for a version does not wait for the next look."""
    feed = Feed(MemoryTables())
    with feed.waiters.of(RUN_ID) as waiter:
        waiting = asyncio.create_task(waiter.reach(1, 60))
        await feed.give(EVENTS[0])
        await waiting


async def test_no_one_is_told_of_a_version_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events come again from the beginning, with a new one behind: the row is taken for new, refused, and written the second time."""
    told_at = list[tuple[int, int]]()
    tables = MemoryTables()
    await Feed(tables).give(*EVENTS[:-1])
    feed = Feed(tables)
    moved = feed.waiters.moved

    def note(versions: Mapping[UUID, int]) -> None:
        told_at.extend((version, version_of(tables)) for version in versions.values())
        moved(versions)

    monkeypatch.setattr(feed.waiters, "moved", note)
    await feed.give(*EVENTS)
    assert told_at == [(len(EVENTS), len(EVENTS))]


async def test_many_runs_and_batches_end_as_all_events_folded_from_nothing() -> None:
    """A rebuild makes the tables that are there."""
    runs = [uuid4() for _ in range(5)]
    histories = [history_of(FINISHED, run_id) for run_id in runs]
    woven = [item for step in zip(*histories, strict=True) for item in step]
    live, rebuilt = MemoryTables(), MemoryTables()
    await Feed(live).give_all(woven[start : start + 7] for start in range(0, len(woven), 7))
    await Feed(rebuilt).give_all(histories)
    assert live.rows.keys() == set(runs)
    assert (live.rows, live.approvals) == (rebuilt.rows, rebuilt.approvals)
