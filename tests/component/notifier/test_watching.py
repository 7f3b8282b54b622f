"""Watching over the WebSocket on a real Kafka: what is said first, what follows, and that nothing is missing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Origin

from component.notifier.watchtower import Press, Tower, tower
from contracts.runs.events import RunEvent
from notifier.clients import Limits
from notifier.cursor import Cursor, encode
from notifier.fakes.gateway import MemoryGateway
from notifier.messages import ApprovalRequest, Snapshot, StatusUpdate
from support.asking import approve, at_payload_review, edit, executed
from support.client import Watching, until
from support.pushing import moved

FINISHED = at_payload_review().given(approve(), executed(), approve())
WAITING = at_payload_review()


def updates(messages: Sequence[dict[str, Any]], run_id: object) -> list[int]:
    """Return the versions of a run that were told."""
    return [m["version"] for m in messages if m["type"] == "HITL_STATUS_UPDATE" and m["run_id"] == str(run_id)]


async def through(watching: Watching, event: RunEvent) -> list[dict[str, Any]]:
    """Listen up to an event; return all that was said on this connection."""
    await watching.until("HITL_STATUS_UPDATE", run_id=str(event.run_id), version=event.version)
    return watching.seen


async def test_a_snapshot_comes_first_and_then_everything_that_happens(notifier: Tower, press: Press) -> None:
    """Every member of every message as the page for outsiders says."""
    session = uuid4().hex
    waiting, run = moved(WAITING, session_id=session), moved(FINISHED, session_id=session)
    await press.publish(*waiting)
    async with notifier.watch(session_id=session) as watching:
        snapshot = Snapshot.model_validate(await watching.next())
        assert [view["run_id"] for view in snapshot.runs] == [str(waiting[0].run_id)]
        assert snapshot.approvals == snapshot.runs
        assert snapshot.approvals[0]["checkpoint"]["step"] == "payload_review"
        await press.publish(*run)
        seen = (await through(watching, run[-1]))[1:]
    assert updates(seen, run[0].run_id) == [event.version for event in run]
    for message in seen:
        if message["type"] == "HITL_APPROVAL_REQUEST":
            assert list(message) == ["type", "cursor", "run_id", "version", "session_id", "user_id", "checkpoint"]
            ApprovalRequest.model_validate(message)
        else:
            assert list(message) == ["type", "cursor", "run_id", "version", "state", "event"]
            assert list(message["event"]) == ["kind", "at", "data"]
            StatusUpdate.model_validate(message)
    assert [message["type"] for message in seen].count("HITL_APPROVAL_REQUEST") == 2
    assert seen[-1]["state"] == "completed"


async def test_watchers_hear_of_what_they_asked_for_and_of_nothing_else(notifier: Tower, press: Press) -> None:
    """By user, by session, by run, and by several of them together."""
    user, session = uuid4().hex, uuid4().hex
    mine = moved(WAITING, user_id=user, session_id=session)
    users = moved(WAITING, user_id=user)
    sessions = moved(WAITING, session_id=session)
    wanted = [
        ({"user_id": user}, [mine, users]),
        ({"session_id": session}, [mine, sessions]),
        ({"user_id": user, "session_id": session}, [mine]),
        ({"user_id": user, "run_id": str(users[0].run_id)}, [users]),
    ]
    async with contextlib.AsyncExitStack() as stack:
        watching = [await stack.enter_async_context(notifier.watch(**query)) for query, _ in wanted]
        for one in watching:
            await one.until("SNAPSHOT")
        await press.publish(*users, *sessions, *mine)
        for one, (query, runs) in zip(watching, wanted, strict=True):
            heard = [await one.next() for run in runs for _ in range(len(run) + 1)]
            assert {message["run_id"] for message in heard} == {str(run[0].run_id) for run in runs}, query
            for run in runs:
                assert updates(heard, run[0].run_id) == [event.version for event in run]
        closing = moved(WAITING, user_id=user, session_id=session, run_id=mine[0].run_id)
        await press.publish(closing[-1].model_copy(update={"version": len(mine) + 1}), learn=False)
        for one in watching[:3]:
            assert (await one.next())["version"] == len(mine) + 1


async def test_empty_filters_are_no_filters(notifier: Tower, press: Press) -> None:
    """As the address is written in the documentation."""
    run = moved(WAITING)
    query = {"user_id": "", "session_id": "", "run_id": str(run[0].run_id), "cursor": ""}
    async with notifier.watch(**query) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(*run)
        await through(watching, run[-1])


@pytest.mark.parametrize(
    ("query", "path"), [("run_id=7", "/run_id"), ("user_id=" + "u" * 201, "/user_id"), ("usr_id=ann", "/usr_id")]
)
async def test_an_address_that_is_not_valid_is_refused_with_the_reason(notifier: Tower, query: str, path: str) -> None:
    """A misspelt filter must not become a watch on everything."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{notifier.ws_url}?{query}").__aenter__()
    assert refused.value.response.status_code == 422
    problem = json.loads(refused.value.response.body or b"")
    assert (problem["code"], [issue["path"] for issue in problem["issues"]]) == ("validation_failed", [path])


async def test_a_page_of_another_host_is_refused(notifier: Tower) -> None:
    """A page that somebody looks at must not decide in their place; one of this host may."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(notifier.ws_url, origin=Origin("https://evil.example")).__aenter__()
    assert refused.value.response.status_code == 403
    async with connect(notifier.ws_url, origin=Origin("http://localhost:8000"), max_size=None) as socket:
        assert json.loads(await socket.recv())["type"] == "SNAPSHOT"


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


def _more_than(gateway: MemoryGateway, asked: int) -> Any:
    async def look() -> bool | None:
        return gateway.asked > asked or None

    return look


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


async def test_malformed_records_are_passed_over(notifier: Tower, press: Press) -> None:
    """The events around them arrive, and the count of them can be seen."""
    run = moved(WAITING)
    before = await _metric(notifier, "countersign_notifier_malformed_records_total")
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(run[0])
        await press.publish(b"\xff", b"", b"{}", learn=False)
        await press.publish(*run[1:])
        assert updates(await through(watching, run[-1]), run[0].run_id) == [1, 2, 3]
    assert await _metric(notifier, "countersign_notifier_malformed_records_total") >= before + 3


async def test_events_that_are_published_again_are_told_once(notifier: Tower, press: Press) -> None:
    """As after a crash of the orchestrator."""
    run = moved(FINISHED)
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(*run[:4])
        await press.publish(*run[1:])
        seen = await through(watching, run[-1])
    assert updates(seen, run[0].run_id) == [event.version for event in run]


async def test_a_slow_client_is_dropped_and_the_others_get_everything(
    press: Press, kafka_bootstrap: str, gateway_url: str
) -> None:
    """It is told to come back with its cursor, and misses nothing when it does."""
    session = uuid4().hex
    big = at_payload_review().given(edit({"prompt": "x" * 50_000}))
    async with tower(kafka_bootstrap, gateway_url, Limits(queue_count=50)) as notifier:
        dropped = partial(_metric, notifier, 'countersign_notifier_clients_dropped_total{why="too_slow"}')
        before = await dropped()
        slow = await connect(f"{notifier.ws_url}?session_id={session}", max_size=None, max_queue=1, ping_interval=None)
        slow.transport.pause_reading()
        async with notifier.watch(session_id=session) as quick:
            await quick.until("SNAPSHOT")
            while await dropped() == before:
                run = moved(big, session_id=session)
                await press.publish(*run, learn=False)
                await through(quick, run[-1])
                assert updates(quick.seen, run[0].run_id) == [event.version for event in run]
        slow.transport.resume_reading()
        cursor = json.loads([text async for text in _until_closed(slow)][-1])["cursor"]
        assert (slow.close_code, slow.close_reason) == (4008, "too slow: come back with your cursor")
        async with notifier.watch(session_id=session, cursor=cursor) as returned:
            await through(returned, run[-1])
            assert "SNAPSHOT" not in [message["type"] for message in returned.seen]


@pytest.mark.parametrize("nonsense", [b"", b"\xff\xff\xff\xff"])
async def test_a_client_that_is_gone_while_it_is_written_to_is_no_error(
    notifier: Tower, press: Press, nonsense: bytes
) -> None:
    """It hangs up, or says what no client should and is let go of; nobody is to be told."""
    session = uuid4().hex
    clients = partial(_metric, notifier, 'countersign_notifier_clients{edge="websocket"}')
    before = await clients()
    with capture_logs() as logs:
        leaving = await connect(f"{notifier.ws_url}?session_id={session}", max_size=None, max_queue=1)
        await leaving.recv()
        leaving.transport.pause_reading()
        run = moved(at_payload_review().given(edit({"prompt": "x" * 200_000})), session_id=session)
        await press.publish(*run, learn=False)
        leaving.transport.write(nonsense)
        await press.publish(*moved(WAITING, session_id=session), learn=False)
        leaving.transport.abort()

        async def gone() -> bool | None:
            return await clients() == before or None

        await until(gone)
    assert [log for log in logs if log["log_level"] != "info"] == []


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str]:
    with contextlib.suppress(ConnectionClosedError):
        async with asyncio.timeout(30):
            while True:
                yield str(await socket.recv())


async def _metric(notifier: Tower, name: str) -> float:
    lines = (await notifier.http.get("/metrics")).text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)


async def test_what_is_counted_can_be_read(notifier: Tower, press: Press) -> None:
    """Clients, messages, the feed's place."""
    run = moved(WAITING)
    sent = await _metric(notifier, 'countersign_notifier_messages_total{type="HITL_STATUS_UPDATE"}')
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        assert await _metric(notifier, 'countersign_notifier_clients{edge="websocket"}') >= 1
        await press.publish(*run)
        await through(watching, run[-1])
        await watching.until("HITL_APPROVAL_REQUEST")
    assert await _metric(notifier, 'countersign_notifier_messages_total{type="HITL_STATUS_UPDATE"}') >= sent + 3
    assert await _metric(notifier, 'countersign_notifier_feed_position{partition="0"}') >= 0
    assert await notifier.readiness() == {"kafka": "ok", "feed": "ok", "gateway": "ok"}
