"""Tallies and runs under any sequence of deliveries, deaths, repetitions and waits: every child is counted once, as it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.memory.ledger import MemoryDatabase, MemoryLedger
from testkit.tally.world import AGGREGATES, PLACES, TallyWorld

Step = tuple[Any, ...]

NAMES = st.sampled_from(sorted(AGGREGATES))

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("deliver"), NAMES, st.none() | st.sampled_from(PLACES), st.none() | st.integers(0, 6)),
    st.tuples(st.just("work"), st.booleans()),
    st.tuples(st.just("commit"), NAMES),
    st.tuples(st.just("crash"), NAMES),
    st.tuples(st.just("stale"), NAMES),
    st.tuples(st.just("repeat"), NAMES, st.integers(0, 100)),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 31.0, 61.0, 700.0])),
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 6),
    st.sets(st.integers(0, 5), max_size=2),
    st.lists(STEPS, max_size=40),
    st.sampled_from([1, 3, 4, 6]),
)
def test_every_child_is_counted_once(children: int, refuse: set[int], steps: Sequence[Step], partitions: int) -> None:
    """No notice is lost and none is counted twice."""
    asyncio.run(_story(children, refuse, steps, partitions))


async def _story(children: int, refuse: set[int], steps: Sequence[Step], partitions: int) -> None:
    database = MemoryDatabase()

    async def pass_time(_: float) -> None:
        """Do nothing: the database's clock is the world's."""

    world = TallyWorld(lambda aggregate: MemoryLedger(database, "log", aggregate), pass_time, partitions=partitions)
    database.now = world.now
    world.open(children, refuse={path for path in refuse if path < children})
    world.open(1)
    for step in steps:
        await _take(world, step)
    await world.finish()
    await world.check()
    await world.close()


async def _take(world: TallyWorld, step: Step) -> None:
    match step:
        case ("deliver", name, dies_at, dies_after):
            await world.deliver(name, dies_at, dies_after)
        case ("work", again):
            world.work(again=again)
        case ("commit", name):
            world.commit(name)
        case ("crash", name):
            world.crash(name)
        case ("stale", name):
            await world.deliver_to_a_stale_owner(name)
        case ("repeat", name, which):
            world.repeat(name, which)
        case ("wait", seconds):
            await world.wait(seconds)
