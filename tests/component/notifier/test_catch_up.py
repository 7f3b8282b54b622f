"""A late connection: a cursor or a snapshot, and after it every event, once."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from notifier.hub.cursor import Cursor, encode
from notifier.testing.gateway import MemoryGateway
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved
from testkit.stack.user import until

from .running_notifier import Backend, Publisher, RunningNotifier, through, updates

FINISHED = at_payload_review().given(approve(), executed(), approve())
WAITING = at_payload_review()


async def test_a_client_that_returns_gets_the_missed_events_from_any_instance(
    notifier: RunningNotifier, publisher: Publisher, backend: Backend
) -> None:
    """Also from one that was started since: it reads earlier records."""
    run = moved(FINISHED)
    query = {"run_id": str(run[0].run_id)}
    async with notifier.watch(**query) as watching:
        await watching.until("SNAPSHOT")
        await publisher.publish(*run[:3])
        request = await watching.until("HITL_APPROVAL_REQUEST", run_id=str(run[0].run_id))
    await publisher.publish(*run[3:])
    async with backend.notifier() as other:
        for instance in (notifier, other):
            async with instance.watch(**query, cursor=request["cursor"]) as returned:
                seen = await through(returned, run[-1])
            assert updates(seen, run[0].run_id) == [event.version for event in run[3:]]
            assert "SNAPSHOT" not in [message["type"] for message in seen]


async def test_a_client_that_was_cut_off_between_two_messages_gets_the_second(
    notifier: RunningNotifier, publisher: Publisher
) -> None:
    """The request to decide is not lost between a status update and a broken connection."""
    run = moved(WAITING)
    query = {"run_id": str(run[0].run_id)}
    async with notifier.watch(**query) as watching:
        await watching.until("SNAPSHOT")
        await publisher.publish(*run)
        update = (await through(watching, run[-1]))[-1]
    async with notifier.watch(**query, cursor=update["cursor"]) as returned:
        request = await returned.until("HITL_APPROVAL_REQUEST")
    assert request["version"] == run[-1].version


async def test_a_cursor_that_cannot_be_served_gets_a_snapshot(notifier: RunningNotifier, publisher: Publisher) -> None:
    """Of another log, made up, or too long: the client gets no error and misses nothing."""
    run = moved(WAITING)
    await publisher.publish(*run)
    for cursor in (encode(Cursor("another log", (0, 0, 0, 0))), "made-up", "x" * 5_000):
        async with notifier.watch(run_id=str(run[0].run_id), cursor=cursor) as watching:
            snapshot = await watching.next()
        assert (snapshot["type"], len(snapshot["approvals"])) == ("SNAPSHOT", 1)


async def test_no_event_is_lost_between_the_snapshot_and_the_feed(
    notifier: RunningNotifier, publisher: Publisher, gateway: MemoryGateway
) -> None:
    """The read model lags behind the notifier, and more events come while it is asked."""
    session = uuid4().hex
    known = moved(FINISHED, session_id=session)
    unknown = moved(WAITING, session_id=session)
    gateway.learn(*(event.to_bytes() for event in known[:2]))
    async with notifier.watch(session_id=uuid4().hex) as early:
        await early.until("SNAPSHOT")
    await publisher.publish(*known[:4], *unknown[:2], learn=False)
    gateway.answering.clear()
    asked = gateway.requests
    async with notifier.watch(session_id=session) as watching, notifier.watch(run_id=str(known[0].run_id)) as other:
        await until(_more_than(gateway, asked + 1))
        await publisher.publish(*known[4:], *unknown[2:], learn=False)
        gateway.answering.set()
        snapshot = await watching.next()
        assert [(view["run_id"], view["version"]) for view in snapshot["runs"]] == [(str(known[0].run_id), 2)]
        await watching.until("HITL_STATUS_UPDATE", run_id=str(known[0].run_id), version=known[-1].version)
        seen = await through(other, known[-1])
        while updates(watching.seen, unknown[0].run_id) != [1, 2, 3]:
            await watching.next()
    assert updates(watching.seen, known[0].run_id) == list(range(3, len(known) + 1))
    assert updates(seen, known[0].run_id) == list(range(3, len(known) + 1))


def _more_than(gateway: MemoryGateway, asked: int) -> Any:
    async def look() -> bool | None:
        return gateway.requests > asked or None

    return look


async def test_events_that_the_snapshot_shows_are_not_repeated(
    notifier: RunningNotifier, publisher: Publisher, gateway: MemoryGateway
) -> None:
    """The read model can be ahead of the notifier too."""
    session = uuid4().hex
    events = moved(FINISHED, session_id=session)
    gateway.learn(*(event.to_bytes() for event in events[:4]))
    async with notifier.watch(session_id=session) as watching:
        snapshot = await watching.next()
        assert snapshot["runs"][0]["version"] == 4
        await publisher.publish(*events)
        seen = await through(watching, events[-1])
    assert updates(seen, events[0].run_id) == list(range(5, len(events) + 1))


async def test_a_run_that_is_watched_by_its_id_is_shown_though_it_is_over(
    notifier: RunningNotifier, publisher: Publisher
) -> None:
    """Its snapshot has the end of the run."""
    run = moved(FINISHED)
    await publisher.publish(*run)
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        snapshot = await watching.next()
    assert snapshot["runs"][0]["state"] == "completed"
    assert snapshot["approvals"] == []


async def test_a_long_snapshot_says_that_there_is_more(notifier: RunningNotifier, gateway: MemoryGateway) -> None:
    """It shows the newest."""
    session = uuid4().hex
    runs = [moved(WAITING, session_id=session) for _ in range(201)]
    gateway.learn(*(event.to_bytes() for run in runs for event in run))
    shown: list[str] = []
    more = True
    async with notifier.watch(session_id=session) as watching:
        while more:
            snapshot = await watching.next()
            shown += [view["run_id"] for view in snapshot["approvals"]]
            more = snapshot["more"]
    assert (len(set(shown)), len(shown), snapshot["truncated"]) == (200, 200, True)


async def test_two_hundred_waiting_runs_reach_an_ordinary_client(
    notifier: RunningNotifier, gateway: MemoryGateway
) -> None:
    """With the defaults of Python's `websockets`, which closes on a message above 1 MiB: each run once, none missed."""
    session = uuid4().hex
    runs = [moved(WAITING, session_id=session) for _ in range(200)]
    large = [event.to_bytes().replace(b"a red bicycle", b"x" * 6000) for run in runs for event in run]
    gateway.learn(*large)
    shown: list[str] = []
    async with connect(f"{notifier.ws_url}?session_id={session}", proxy=None) as socket:
        more = True
        while more:
            message = json.loads(await socket.recv())
            shown += [view["run_id"] for view in (*message["approvals"], *message["runs"])]
            more = message["more"]
    assert sorted(shown) == sorted(str(run[0].run_id) for run in runs)


async def test_a_client_that_is_cut_off_within_a_snapshot_gets_it_anew(
    notifier: RunningNotifier, gateway: MemoryGateway
) -> None:
    """The cursor of an unfinished snapshot promises nothing."""
    session = uuid4().hex
    runs = [moved(WAITING, session_id=session) for _ in range(50)]
    gateway.learn(*(event.to_bytes().replace(b"a red bicycle", b"x" * 20_000) for run in runs for event in run))
    async with notifier.watch(session_id=session) as watching:
        first = await watching.next()
    async with notifier.watch(session_id=session, cursor=first["cursor"]) as returned:
        again = await returned.next()
    assert (first["more"], again["type"], again["approvals"]) == (True, "SNAPSHOT", first["approvals"])


async def test_without_the_gateway_a_new_client_is_closed_with_try_again_later(
    notifier: RunningNotifier, publisher: Publisher, gateway: MemoryGateway
) -> None:
    """A client that needs no snapshot is served all the same."""
    run = moved(WAITING)
    query = {"run_id": str(run[0].run_id)}
    async with notifier.watch(**query) as watching:
        cursor = (await watching.next())["cursor"]
        gateway.unavailable = True
        try:
            with pytest.raises(ConnectionClosedError) as closed:
                async with notifier.watch(**query) as refused:
                    await refused.next()
            await publisher.publish(*run)
            await through(watching, run[-1])
            async with notifier.watch(**query, cursor=cursor) as returned:
                await through(returned, run[-1])
            assert (await notifier.readiness())["gateway"] != "ok"
        finally:
            gateway.unavailable = False
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    async with notifier.watch(**query) as watching:
        assert (await watching.next())["type"] == "SNAPSHOT"
