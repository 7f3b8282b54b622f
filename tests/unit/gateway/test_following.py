"""Following a run over a read model in memory: until a version is reached, and event by event."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from gateway.fakes.memory import MemoryTables
from gateway.following import Following
from support.asking import approve, at_payload_review, cancel, executed
from support.projecting import Feed, history_of

TENANT = "default"
RUN_ID = uuid4()
EVENTS = history_of(at_payload_review().given(approve(), executed(), approve()), RUN_ID)
CANCELLED = history_of(at_payload_review().given(cancel()), RUN_ID)


def watched() -> tuple[MemoryTables, Feed, Following]:
    """Return a read model, what fills it, and who follows it."""
    tables = MemoryTables()
    feed = Feed(tables)
    return tables, feed, Following(tables, feed.arrivals)


async def test_a_version_that_is_there_is_returned_at_once() -> None:
    """Nothing is waited for."""
    _, feed, following = watched()
    await feed.give(*EVENTS[:3])
    run = await following.reached(TENANT, RUN_ID, 3, seconds=0)
    assert run is not None
    assert run.version == 3


async def test_a_version_that_is_not_there_yet_is_waited_for() -> None:
    """The run need not even exist when the wait begins."""
    _, feed, following = watched()
    waiting = asyncio.create_task(following.reached(TENANT, RUN_ID, 3, seconds=60))
    await feed.give(*EVENTS[:2])
    await feed.give(EVENTS[2])
    run = await waiting
    assert run is not None
    assert run.version == 3


async def test_a_version_that_another_gateway_projects_is_found_too() -> None:
    """Nobody rings here; looking now and then is enough."""
    tables, _, following = watched()
    waiting = asyncio.create_task(following.reached(TENANT, RUN_ID, 3, seconds=60))
    await Feed(tables).give(*EVENTS[:3])
    run = await waiting
    assert run is not None
    assert run.version == 3


async def test_when_the_time_is_up_the_run_is_returned_as_it_is() -> None:
    """Whoever asked says what that means."""
    _, feed, following = watched()
    assert await following.reached(TENANT, RUN_ID, 1, seconds=0) is None
    await feed.give(EVENTS[0])
    run = await following.reached(TENANT, RUN_ID, 9, seconds=0)
    assert run is not None
    assert run.version == 1
    assert await following.reached("another tenant", RUN_ID, 1, seconds=0) is None


async def test_events_come_from_the_past_and_go_on_until_the_run_is_over() -> None:
    """Each once, in order, from behind the version that was seen last."""
    _, feed, following = watched()
    await feed.give(*EVENTS[:3])
    seen: list[int] = []
    async for events in following.events(TENANT, RUN_ID, after=1):
        seen += [event.version for event in events]
        if seen[-1] < len(EVENTS):
            await feed.give(*EVENTS[seen[-1] : seen[-1] + 2])
    assert seen == list(range(2, len(EVENTS) + 1))


async def test_a_run_that_is_over_is_told_and_the_stream_ends() -> None:
    """Who returns with the last version gets nothing and is not kept."""
    _, feed, following = watched()
    await feed.give(*CANCELLED)
    assert [len(events) async for events in following.events(TENANT, RUN_ID, after=0)] == [len(CANCELLED)]
    assert [events async for events in following.events(TENANT, RUN_ID, after=len(CANCELLED))] == []
    assert [events async for events in following.events(TENANT, RUN_ID, after=99)] == []


async def test_an_outage_is_waited_out() -> None:
    """A stream does not break because the database is away for a moment."""
    tables, feed, following = watched()
    await feed.give(EVENTS[0])
    stream = following.events(TENANT, RUN_ID, after=0)
    assert [event.version for event in await anext(stream)] == [1]
    tables.away = True
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    tables.away = False
    await feed.give(EVENTS[1])
    assert [event.version for event in await waiting] == [2]


async def test_a_stop_ends_streams_and_waits() -> None:
    """Nobody keeps the process from ending."""
    _, feed, following = watched()
    await feed.give(EVENTS[0])
    stream = following.events(TENANT, RUN_ID, after=0)
    await anext(stream)
    streaming = asyncio.create_task(_rest(stream))
    waiting = asyncio.create_task(following.reached(TENANT, RUN_ID, 9, seconds=600))
    await asyncio.sleep(0)
    following.close()
    assert await streaming == []
    run = await waiting
    assert run is not None
    assert run.version == 1


async def _rest(stream: object) -> list[object]:
    return [events async for events in stream]  # type: ignore[attr-defined]
