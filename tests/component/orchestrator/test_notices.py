"""Notices between aggregates, in memory and on PostgreSQL: none is lost and none is counted twice, wherever an owner dies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from contracts.runs.commands import parse_command
from orchestrator.adapters.memory.ledger import MemoryDatabase, MemoryLedger
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.aggregate import Aggregate
from orchestrator.ports import Store
from testkit.postgres.unreliable import execute
from testkit.runs.command_records import approve, start
from testkit.tally.world import AGGREGATES, PLACES, TallyWorld

from .conftest import LOG, emptied


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest, module_postgres_url: str) -> AsyncIterator[TallyWorld]:
    """Give a world of tallies and runs, empty."""
    made = _in_memory() if request.param == "memory" else await _on_postgres(module_postgres_url)
    yield made
    await made.close()


def _in_memory() -> TallyWorld:
    database = MemoryDatabase()

    def open_store(aggregate: Aggregate[Any, Any]) -> Store:
        return MemoryLedger(database, LOG, aggregate)

    async def pass_time(_: float) -> None:
        """Do nothing: the database's clock is the world's."""

    world = TallyWorld(open_store, pass_time)
    database.now = world.now
    return world


async def _on_postgres(url: str) -> TallyWorld:
    await emptied(url)

    def open_store(aggregate: Aggregate[Any, Any]) -> Store:
        return PostgresLedger(url, LOG, aggregate)

    async def pass_time(seconds: float) -> None:
        await execute(url, "UPDATE ledger.deadlines SET due_at = due_at - make_interval(secs => $1)", float(seconds))

    return TallyWorld(open_store, pass_time)


async def test_children_are_started_and_their_ends_counted(world: TallyWorld) -> None:
    """A command of one aggregate starts children of another by records that follow, and hears of each end by a notice."""
    tally_id = world.open(60)
    await world.finish()
    await world.check()
    assert set((await world.tally(tally_id)).counts) == {"completed", "failed", "cancelled"}


async def test_a_start_that_is_refused_is_told_to_the_parent(world: TallyWorld) -> None:
    """A child whose run was begun by another command counts as refused; the parent does not wait for it for ever."""
    tally_id = world.open(5, refuse=[1, 3])
    await world.finish()
    await world.check()
    tally = await world.tally(tally_id)
    assert (tally.counted["1"], tally.counted["3"]) == ("refused", "refused")


async def test_a_second_start_of_a_child_by_the_same_parent_is_no_refusal(world: TallyWorld) -> None:
    """A start that says the same under another id is refused, and the parent hears how the child ended, once."""
    world.open(2)
    for name in AGGREGATES:
        await world.deliver(name)
    (first, *_) = world.kafka.records("run.commands")
    said = parse_command(first.value or b"")
    again = said.model_copy(update={"command_id": uuid4()})
    world.say("run.commands", again.run_id, again.model_dump_json().encode())
    await world.deliver("run")
    assert [kind for kind in world.kinds("tally.commands") if kind == "child-ended.v1"] == []
    await world.finish()
    await world.check()


async def test_streams_of_two_aggregates_with_one_id_do_not_meet(world: TallyWorld) -> None:
    """A command for a run that names a tally's id finds no run; a run of that id is another stream."""
    tally_id = world.open(3)
    await world.deliver("tally")
    before = await world.tally(tally_id)
    approval = approve(tally_id)
    world.say("run.commands", tally_id, approval.model_dump_json().encode())
    await world.deliver("run")
    refusals = (await world.stores["run"].load([tally_id])).refusals
    assert json.loads(refusals[approval.command_id].outcome)["code"] == "run_not_found"
    world.say("run.commands", tally_id, start(tally_id).model_dump_json().encode())
    await world.finish()
    await world.check()
    assert (await world.tally(tally_id)).children == before.children
    (began, *_) = (await world.stores["run"].load([tally_id])).histories[tally_id]
    assert (began.event.kind, began.event.version) == ("run-started.v1", 1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", list(AGGREGATES))
async def test_an_owner_that_dies_at_any_place_of_any_batch_loses_no_notice(
    name: str, place: str, world: TallyWorld
) -> None:
    """The next owner publishes again what the ledger holds; what arrives twice takes effect once."""
    world.open(6, refuse=[2])
    for _ in range(12):
        await world.deliver(name, dies_at=place)
        for other in AGGREGATES:
            await world.deliver(other)
        world.work()
    await world.finish()
    await world.check()


@pytest.mark.parametrize("name", list(AGGREGATES))
@pytest.mark.parametrize("sent", [0, 1, 2, 3, 5])
async def test_an_owner_that_dies_while_it_sends_loses_no_notice(name: str, sent: int, world: TallyWorld) -> None:
    """Of what a batch publishes, any part may have arrived."""
    world.open(6)
    for _ in range(8):
        await world.deliver(name, dies_after=sent)
        for other in AGGREGATES:
            await world.deliver(other)
        world.work()
    await world.finish()
    await world.check()


async def test_a_parent_that_heard_nothing_asks_again(world: TallyWorld) -> None:
    """Notices that were lost with their log are told again when the parent's deadline for open children has passed."""
    tally_id = world.open(4)
    await world.deliver("tally")
    world.commit("tally")
    for _ in range(6):
        await world.deliver("run")
        world.work()
    ends = world.kafka.ends("tally.commands", range(4))
    world.kafka.committed |= {("tally.commands", number): end for number, end in ends.items()}
    world.crash("tally")
    assert (await world.tally(tally_id)).counted == {}
    await world.finish()
    await world.check()
    assert (await world.tally(tally_id)).round == 1


async def test_an_owner_that_slept_through_a_rebalance_counts_nothing_twice(world: TallyWorld) -> None:
    """It is fenced, and what it publishes then is what the ledger holds."""
    world.open(5)
    for _ in range(8):
        for name in AGGREGATES:
            await world.deliver_to_a_stale_owner(name)
        world.work()
    await world.finish()
    await world.check()
