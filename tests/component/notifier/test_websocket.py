"""Watching over the WebSocket on a real Kafka: who may, what is told to whom, and that it is told once and counted."""

from __future__ import annotations

import contextlib
import json
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from component.notifier.watchtower import Press, Tower, through, updates
from notifier.protocol.messages import ApprovalRequest, Snapshot, StatusUpdate
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved

FINISHED = at_payload_review().given(approve(), executed(), approve())
WAITING = at_payload_review()


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
    # it hears of every run of this Kafka: with a bounded queue the closing would wait behind what nobody reads
    own = Origin("http://localhost:8000")
    async with connect(notifier.ws_url, origin=own, max_size=None, max_queue=None) as socket:
        assert json.loads(await socket.recv())["type"] == "SNAPSHOT"


async def test_malformed_records_are_passed_over(notifier: Tower, press: Press) -> None:
    """The events around them arrive, and the count of them can be seen."""
    run = moved(WAITING)
    before = await notifier.metric("sayso_notifier_malformed_records_total")
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(run[0])
        await press.publish(b"\xff", b"", b"{}", learn=False)
        await press.publish(*run[1:])
        assert updates(await through(watching, run[-1]), run[0].run_id) == [1, 2, 3]
    assert await notifier.metric("sayso_notifier_malformed_records_total") >= before + 3


async def test_events_that_are_published_again_are_told_once(notifier: Tower, press: Press) -> None:
    """As after a crash of the orchestrator."""
    run = moved(FINISHED)
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await press.publish(*run[:4])
        await press.publish(*run[1:])
        seen = await through(watching, run[-1])
    assert updates(seen, run[0].run_id) == [event.version for event in run]


async def test_what_is_counted_can_be_read(notifier: Tower, press: Press) -> None:
    """Clients, messages, the feed's place."""
    run = moved(WAITING)
    sent = await notifier.metric('sayso_notifier_messages_total{type="HITL_STATUS_UPDATE"}')
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        assert await notifier.metric('sayso_notifier_clients{edge="websocket"}') >= 1
        await press.publish(*run)
        await through(watching, run[-1])
        await watching.until("HITL_APPROVAL_REQUEST")
    assert await notifier.metric('sayso_notifier_messages_total{type="HITL_STATUS_UPDATE"}') >= sent + 3
    assert await notifier.metric('sayso_notifier_feed_position{partition="0"}') >= 0
    assert await notifier.readiness() == {"kafka": "ok", "feed": "ok", "gateway": "ok"}
