"""Coming late over the WebSocket on a real Kafka: a cursor or a snapshot, and behind it everything, once."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosedError

from component.notifier.watchtower import Press, Tower, through, tower, updates
from notifier.hub.cursor import Cursor, encode
from notifier.testing.gateway import MemoryGateway
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved
from testkit.stack.user import until

FINISHED = at_payload_review().given(approve(), executed(), approve())
WAITING = at_payload_review()


async def test_who_returns_with_a_cursor_gets_what_it_missed_from_any_instance(
    notifier: Tower, press: Press, kafka_bootstrap: str, gateway_url: str
) -> None:
    """Also from one that was started since: it reads some way back."""
    run = moved(FINISHED)
    query = {"run_id": str(run[0].run_id)}
    async with notifier.watch(**query) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(*run[:3])
        request = await watching.until("HITL_APPROVAL_REQUEST", run_id=str(run[0].run_id))
    await press.publish(*run[3:])
    async with tower(kafka_bootstrap, gateway_url) as other:
        for instance in (notifier, other):
            async with instance.watch(**query, cursor=request["cursor"]) as returned:
                seen = await through(returned, run[-1])
            assert updates(seen, run[0].run_id) == [event.version for event in run[3:]]
            assert "SNAPSHOT" not in [message["type"] for message in seen]


async def test_who_got_only_the_first_of_two_messages_gets_the_second(notifier: Tower, press: Press) -> None:
    """The request to decide is not lost between a status update and a broken connection."""
    run = moved(WAITING)
    query = {"run_id": str(run[0].run_id)}
    async with notifier.watch(**query) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(*run)
        update = (await through(watching, run[-1]))[-1]
    async with notifier.watch(**query, cursor=update["cursor"]) as returned:
        request = await returned.until("HITL_APPROVAL_REQUEST")
    assert request["version"] == run[-1].version


async def test_a_cursor_that_cannot_be_served_gets_a_snapshot(notifier: Tower, press: Press) -> None:
    """Of another log, made up, or damaged: nobody is left with a hole, and nobody with an error."""
    run = moved(WAITING)
    await press.publish(*run)
    for cursor in (encode(Cursor("another log", (0, 0, 0, 0))), "made-up", "x" * 5_000):
        async with notifier.watch(run_id=str(run[0].run_id), cursor=cursor) as watching:
            snapshot = await watching.next()
        assert (snapshot["type"], len(snapshot["runs"])) == ("SNAPSHOT", 1)


async def test_nothing_is_lost_between_the_snapshot_and_what_follows(
    notifier: Tower, press: Press, gateway: MemoryGateway
) -> None:
    """The read model lags behind what the notifier has read already, and more happens while it is asked."""
    session = uuid4().hex
    known = moved(FINISHED, session_id=session)
    unknown = moved(WAITING, session_id=session)
    gateway.learn(*(event.to_bytes() for event in known[:2]))
    async with notifier.watch(session_id=uuid4().hex) as early:
        await early.until("SNAPSHOT")
    await press.publish(*known[:4], *unknown[:2], learn=False)
    gateway.open.clear()
    asked = gateway.asked
    async with notifier.watch(session_id=session) as watching, notifier.watch(run_id=str(known[0].run_id)) as other:
        await until(_more_than(gateway, asked + 1))
        await press.publish(*known[4:], *unknown[2:], learn=False)
        gateway.open.set()
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
        return gateway.asked > asked or None

    return look


async def test_what_the_snapshot_shows_is_not_told_again(notifier: Tower, press: Press, gateway: MemoryGateway) -> None:
    """The read model can be ahead of the notifier too."""
    session = uuid4().hex
    events = moved(FINISHED, session_id=session)
    gateway.learn(*(event.to_bytes() for event in events[:4]))
    async with notifier.watch(session_id=session) as watching:
        snapshot = await watching.next()
        assert snapshot["runs"][0]["version"] == 4
        await press.publish(*events)
        seen = await through(watching, events[-1])
    assert updates(seen, events[0].run_id) == list(range(5, len(events) + 1))


async def test_a_run_that_is_watched_by_its_id_is_shown_though_it_is_over(notifier: Tower, press: Press) -> None:
    """Somebody who watches one run wants to know how it ended."""
    run = moved(FINISHED)
    await press.publish(*run)
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        snapshot = await watching.next()
    assert snapshot["runs"][0]["state"] == "completed"
    assert snapshot["approvals"] == []


async def test_a_long_snapshot_says_that_there_is_more(notifier: Tower, gateway: MemoryGateway) -> None:
    """It shows the newest."""
    session = uuid4().hex
    runs = [moved(WAITING, session_id=session) for _ in range(201)]
    gateway.learn(*(event.to_bytes() for run in runs for event in run))
    async with notifier.watch(session_id=session) as watching:
        snapshot = await watching.next()
    assert (len(snapshot["runs"]), snapshot["truncated"]) == (200, True)


async def test_without_the_gateway_a_client_is_told_to_try_again_later(
    notifier: Tower, press: Press, gateway: MemoryGateway
) -> None:
    """Who needs no snapshot is served all the same."""
    run = moved(WAITING)
    query = {"run_id": str(run[0].run_id)}
    async with notifier.watch(**query) as watching:
        cursor = (await watching.next())["cursor"]
        gateway.away = True
        try:
            with pytest.raises(ConnectionClosedError) as closed:
                async with notifier.watch(**query) as refused:
                    await refused.next()
            await press.publish(*run)
            await through(watching, run[-1])
            async with notifier.watch(**query, cursor=cursor) as returned:
                await through(returned, run[-1])
            assert (await notifier.readiness())["gateway"] != "ok"
        finally:
            gateway.away = False
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    async with notifier.watch(**query) as watching:
        assert (await watching.next())["type"] == "SNAPSHOT"
