"""Follower a run over a read model in memory: until a version is reached, and event by event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast
from uuid import UUID, uuid4

from contracts.providers.call_stream import PartialOutput
from contracts.runs.views import render
from gateway.ports import StepEvent, Views
from gateway.read_model.follower import LOOKS_A_SECOND, Follower
from gateway.read_model.partial_output import PartialOutputReader
from gateway.read_model.waiters import MOST_PIECES, Waiters
from gateway.testing.memory import MemoryTables
from testkit.memory_transport import loop_turn
from testkit.runs.commands import approve, at_payload_review, calling, cancel, executed, extend_lease, stopped
from testkit.runs.histories import Feed, history_of, view_of

TENANT = "default"
RUN_ID = uuid4()
EVENTS = history_of(at_payload_review().given(approve(), executed(), approve()), RUN_ID)
CANCELLED = history_of(at_payload_review().given(cancel()), RUN_ID)


def watched() -> tuple[MemoryTables, Feed, Follower]:
    """Return a read model, what fills it, and a follower."""
    tables = MemoryTables()
    feed = Feed(tables)
    return tables, feed, Follower(tables, feed.waiters)


def versions(told: Sequence[StepEvent | PartialOutput]) -> list[int]:
    """Return the versions of the events among what a stream told."""
    return [one.version for one in told if isinstance(one, StepEvent)]


async def test_a_version_that_is_there_is_returned_at_once() -> None:
    """Nothing is waited for."""
    _, feed, follower = watched()
    await feed.give(*EVENTS[:3])
    run = await follower.reached(TENANT, RUN_ID, 3, seconds=0)
    assert run is not None
    assert run.version == 3


async def test_a_version_that_is_not_there_yet_is_waited_for() -> None:
    """The run need not even exist when the wait begins."""
    _, feed, follower = watched()
    waiting = asyncio.create_task(follower.reached(TENANT, RUN_ID, 3, seconds=60))
    await feed.give(*EVENTS[:2])
    await feed.give(EVENTS[2])
    run = await waiting
    assert run is not None
    assert run.version == 3


async def test_a_version_that_another_gateway_projects_is_found_too() -> None:
    """No waiter is woken here: the tables are read at an interval."""
    tables, _, follower = watched()
    waiting = asyncio.create_task(follower.reached(TENANT, RUN_ID, 3, seconds=60))
    await Feed(tables).give(*EVENTS[:3])
    run = await waiting
    assert run is not None
    assert run.version == 3


async def test_when_the_time_is_up_the_run_is_returned_as_it_is() -> None:
    """The caller decides what that means."""
    _, feed, follower = watched()
    assert await follower.reached(TENANT, RUN_ID, 1, seconds=0) is None
    await feed.give(EVENTS[0])
    run = await follower.reached(TENANT, RUN_ID, 9, seconds=0)
    assert run is not None
    assert run.version == 1
    assert await follower.reached("another tenant", RUN_ID, 1, seconds=0) is None


async def test_events_come_from_the_past_and_go_on_until_the_run_is_over() -> None:
    """Each once, in order, from behind the version that was seen last."""
    _, feed, follower = watched()
    await feed.give(*EVENTS[:3])
    seen: list[int] = []
    async for events in follower.events(TENANT, RUN_ID, after=1):
        seen += versions(events)
        if seen[-1] < len(EVENTS):
            await feed.give(*EVENTS[seen[-1] : seen[-1] + 2])
    assert seen == list(range(2, len(EVENTS) + 1))


async def test_a_run_that_is_cancelled_in_mid_call_is_followed_until_that_has_ended() -> None:
    """What the call had cost is told after the run's end."""
    _, feed, follower = watched()
    cancelled = history_of(calling().given(cancel(), extend_lease(), stopped()), RUN_ID)
    seen: list[str] = []
    await feed.give(*cancelled[:-2])
    async for events in follower.events(TENANT, RUN_ID, after=0):
        seen += [event.kind for event in events if isinstance(event, StepEvent)]
        if seen[-1] != "call-stopped.v1":
            await feed.give(*cancelled[len(seen) : len(seen) + 1])
    assert seen[-3:] == ["run-cancelled.v1", "lease-extended.v1", "call-stopped.v1"]


async def test_a_run_that_was_just_answered_is_found() -> None:
    """A client that was told of it a moment ago waits for the read model and finds it."""
    _, feed, follower = watched()
    assert await follower.settled(TENANT, RUN_ID) is None
    feed.waiters.answers.answered(TENANT, RUN_ID, render(view_of(EVENTS[:2])))
    reading = asyncio.create_task(follower.settled(TENANT, RUN_ID))
    await asyncio.sleep(0)
    await feed.give(*EVENTS[:2])
    run = await reading
    assert run is not None
    assert run.version == 2


async def test_a_run_that_is_over_is_told_and_the_stream_ends() -> None:
    """Who returns with the last version gets nothing and is not kept."""
    _, feed, follower = watched()
    await feed.give(*CANCELLED)
    assert [len(events) async for events in follower.events(TENANT, RUN_ID, after=0)] == [len(CANCELLED)]
    assert [events async for events in follower.events(TENANT, RUN_ID, after=len(CANCELLED))] == []
    assert [events async for events in follower.events(TENANT, RUN_ID, after=99)] == []


async def test_an_outage_is_waited_out() -> None:
    """A stream does not break because the database is unavailable for a moment."""
    tables, feed, follower = watched()
    await feed.give(EVENTS[0])
    stream = follower.events(TENANT, RUN_ID, after=0)
    assert versions(await anext(stream)) == [1]
    tables.unavailable = True
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    tables.unavailable = False
    await feed.give(EVENTS[1])
    assert versions(await waiting) == [2]


async def test_a_stop_ends_streams_and_waits() -> None:
    """No open stream keeps the process from ending."""
    _, feed, follower = watched()
    await feed.give(EVENTS[0])
    stream = follower.events(TENANT, RUN_ID, after=0)
    await anext(stream)
    streaming = asyncio.create_task(_rest(stream))
    waiting = asyncio.create_task(follower.reached(TENANT, RUN_ID, 9, seconds=600))
    await asyncio.sleep(0)
    follower.close()
    assert await streaming == []
    run = await waiting
    assert run is not None
    assert run.version == 1


async def _rest(stream: object) -> list[object]:
    return [events async for events in stream]  # type: ignore[attr-defined]


def piece(run_id: UUID, text: str, offset: int = 0) -> PartialOutput:
    """Return a piece of what a run's call says."""
    return PartialOutput(run_id=run_id, tenant=TENANT, work_id="w", attempt=1, offset=offset, text=text)


def record(partial: PartialOutput) -> SimpleNamespace:
    """Return a piece as it comes from Kafka."""
    return SimpleNamespace(key=str(partial.run_id).encode(), value=partial.model_dump_json().encode(), offset=0)


async def test_what_a_call_says_comes_between_the_events() -> None:
    """To who follows its run; another run's is not heard, and what cannot be read is passed over."""
    _, feed, follower = watched()
    partials = PartialOutputReader(feed.waiters)
    await feed.give(*EVENTS[:2])
    stream = follower.events(TENANT, RUN_ID, after=0)
    assert len(await anext(stream)) == 2
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    broken = SimpleNamespace(key=str(RUN_ID).encode(), value=b"{not json", offset=0)
    said = [piece(RUN_ID, "It is "), piece(RUN_ID, "red.", 6)]
    await partials.on_records([record(piece(uuid4(), "no")), broken, SimpleNamespace(key=b"\xff", value=None)])
    await partials.on_records([record(one) for one in said])
    assert await waiting == said
    waiting = asyncio.ensure_future(anext(stream))
    await feed.give(EVENTS[2])
    assert versions(await waiting) == [3]


async def test_who_takes_nothing_gets_the_newest_pieces() -> None:
    """Memory stays bounded while a client is slow; the offsets show the gap."""
    _, feed, _ = watched()
    with feed.waiters.of(RUN_ID) as waiter:
        await PartialOutputReader(feed.waiters).on_records(
            [record(piece(RUN_ID, "x", n)) for n in range(MOST_PIECES + 5)]
        )
        said = waiter.take()
    assert [one.offset for one in said] == list(range(5, MOST_PIECES + 5))
    assert not feed.waiters.has(RUN_ID)


async def test_a_wait_for_a_version_hears_no_talk() -> None:
    """It ends with the version, however much is said meanwhile."""
    _, feed, follower = watched()
    waiting = asyncio.create_task(follower.reached(TENANT, RUN_ID, 1, seconds=60))
    await asyncio.sleep(0)
    await PartialOutputReader(feed.waiters).on_records([record(piece(RUN_ID, "It is "))])
    await feed.give(EVENTS[0])
    run = await waiting
    assert run is not None
    assert run.version == 1


async def test_very_many_waits_look_at_the_tables_no_oftener_than_few() -> None:
    """A client that waits 500 times for a version that does not come costs the others nothing; each wait still ends in time."""
    tables, _, follower = watched()
    looks = 0

    class Counting:
        async def run(self, tenant: str, run_id: UUID) -> object:
            nonlocal looks
            looks += 1
            return await tables.run(tenant, run_id)

    follower = Follower(cast("Views", Counting()), Waiters())
    waits = [asyncio.create_task(follower.reached(TENANT, RUN_ID, 9, seconds=2)) for _ in range(500)]
    assert await asyncio.gather(*waits) == [None] * 500
    # One look at the beginning and one at the end of each, and in between what all waits together may have.
    assert looks <= 2 * 500 + 2 * LOOKS_A_SECOND


async def test_a_wait_is_woken_by_this_gateway_however_many_there_are() -> None:
    """Only looks at what another gateway projected become rarer."""
    _, feed, follower = watched()
    waits = [asyncio.create_task(follower.reached(TENANT, uuid4(), 1, seconds=0.5)) for _ in range(500)]
    waiting = asyncio.create_task(follower.reached(TENANT, RUN_ID, 3, seconds=60))
    await loop_turn()
    await feed.give(*EVENTS[:3])
    run = await asyncio.wait_for(waiting, 20)
    assert run is not None
    assert run.version == 3
    await asyncio.gather(*waits)
