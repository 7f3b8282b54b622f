"""Watching over the WebSocket: which clients may, which events each one gets, once, and counted."""

from __future__ import annotations

import contextlib
import json
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from contracts.providers.call_stream import PartialOutput
from notifier.protocol.messages import ApprovalRequest, SnapshotMessage, StatusUpdate
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved

from .running_notifier import Backend, Publisher, RunningNotifier, through, updates

FINISHED = at_payload_review().given(approve(), executed(), approve())
WAITING = at_payload_review()


async def test_a_snapshot_comes_first_and_then_every_event(notifier: RunningNotifier, publisher: Publisher) -> None:
    """Each message has the members that outsiders rely on."""
    session = uuid4().hex
    waiting, run = moved(WAITING, session_id=session), moved(FINISHED, session_id=session)
    await publisher.publish(*waiting)
    async with notifier.watch(session_id=session) as watching:
        snapshot = SnapshotMessage.model_validate(await watching.next())
        assert [view["run_id"] for view in snapshot.approvals] == [str(waiting[0].run_id)]
        assert (snapshot.runs, snapshot.more) == ((), False)
        assert snapshot.approvals[0]["checkpoint"]["step"] == "payload_review"
        await publisher.publish(*run)
        seen = (await through(watching, run[-1]))[1:]
    assert updates(seen, run[0].run_id) == [event.version for event in run]
    for message in seen:
        if message["type"] == "HITL_APPROVAL_REQUEST":
            assert list(message) == ["type", "cursor", "run_id", "version", "session_id", "user_id", "checkpoint"]
            ApprovalRequest.model_validate(message)
        else:
            assert list(message) == ["type", "cursor", "run_id", "version", "state", "event"]
            assert list(message["event"]) == ["kind", "at", "actor", "data"]
            StatusUpdate.model_validate(message)
    assert [message["type"] for message in seen].count("HITL_APPROVAL_REQUEST") == 2
    assert seen[-1]["state"] == "completed"


async def test_clients_get_the_events_of_their_filters_and_no_others(
    notifier: RunningNotifier, publisher: Publisher
) -> None:
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
        await publisher.publish(*users, *sessions, *mine)
        for one, (query, runs) in zip(watching, wanted, strict=True):
            heard = [await one.next() for run in runs for _ in range(len(run) + 1)]
            assert {message["run_id"] for message in heard} == {str(run[0].run_id) for run in runs}, query
            for run in runs:
                assert updates(heard, run[0].run_id) == [event.version for event in run]
        closing = moved(WAITING, user_id=user, session_id=session, run_id=mine[0].run_id)
        await publisher.publish(closing[-1].model_copy(update={"version": len(mine) + 1}), learn=False)
        for one in watching[:3]:
            assert (await one.next())["version"] == len(mine) + 1


async def test_empty_filters_are_no_filters(notifier: RunningNotifier, publisher: Publisher) -> None:
    """The documented address has empty parameters."""
    run = moved(WAITING)
    query = {"user_id": "", "session_id": "", "run_id": str(run[0].run_id), "cursor": ""}
    async with notifier.watch(**query) as watching:
        await watching.until("SNAPSHOT")
        await publisher.publish(*run)
        await through(watching, run[-1])


async def test_a_client_names_the_messages_that_are_pushed(notifier: RunningNotifier, publisher: Publisher) -> None:
    """Its snapshot and the answers to what it says come all the same."""
    run = moved(WAITING)
    async with notifier.watch(run_id=str(run[0].run_id), types="HITL_APPROVAL_REQUEST,SNAPSHOT") as watching:
        assert (await watching.next())["type"] == "SNAPSHOT"
        await publisher.publish(*run)
        assert (await watching.next())["type"] == "HITL_APPROVAL_REQUEST"
        await watching.send(json.dumps({"type": "PING"}))
        assert (await watching.next())["type"] == "PONG"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("types=HITL_APROVAL_REQUEST", "/types"),
        ("types=SNAPSHOT,", "/types"),
        ("run_id=7", "/run_id"),
        ("user_id=" + "u" * 201, "/user_id"),
        ("usr_id=ann", "/usr_id"),
    ],
)
async def test_an_address_that_is_not_valid_is_refused_with_the_reason(
    notifier: RunningNotifier, query: str, path: str
) -> None:
    """A misspelt filter must not watch every run."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{notifier.ws_url}?{query}").__aenter__()
    assert refused.value.response.status_code == 422
    problem = json.loads(refused.value.response.body or b"")
    assert (problem["code"], [issue["path"] for issue in problem["issues"]]) == ("validation_failed", [path])


@pytest.mark.parametrize("path", ["/ws", "/hitl/runs/r1/events"])
async def test_a_foreign_name_opens_no_socket_and_no_stream(notifier: RunningNotifier, path: str) -> None:
    """A page whose name was turned to this machine says that name in `Host`, and comes from its own host."""
    foreign = {"Host": "evil.example", "Origin": "http://evil.example"}
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for headers in (foreign, {**foreign, **upgrade, **key}):
        answer = await notifier.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "SAYSO_HOSTS" in answer.json()["detail"]


async def test_a_page_on_another_port_of_this_machine_opens_no_socket(notifier: RunningNotifier) -> None:
    """It may be a stranger's, unless its origin is named."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(notifier.ws_url, origin=Origin("http://127.0.0.1:5173")).__aenter__()
    assert refused.value.response.status_code == 403
    assert b"SAYSO_ORIGINS" in (refused.value.response.body or b"")


async def test_a_page_of_another_host_is_refused(notifier: RunningNotifier, backend: Backend) -> None:
    """A foreign page must not decide for its visitor; a page of the gateway may."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(notifier.ws_url, origin=Origin("https://evil.example")).__aenter__()
    assert refused.value.response.status_code == 403
    # It gets every run of this Kafka: with a bounded queue the close would wait behind unread messages.
    own = Origin(f"http://localhost:{backend.gateway_port}")
    async with connect(notifier.ws_url, origin=own, max_size=None, max_queue=None) as socket:
        assert json.loads(await socket.recv())["type"] == "SNAPSHOT"


async def test_malformed_records_are_skipped(notifier: RunningNotifier, publisher: Publisher) -> None:
    """The events around them arrive, and a metric counts them."""
    run = moved(WAITING)
    before = await notifier.metric("sayso_notifier_malformed_records_total")
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await publisher.publish(run[0])
        await publisher.publish(b"\xff", b"", b"{}", learn=False)
        await publisher.publish(*run[1:])
        assert updates(await through(watching, run[-1]), run[0].run_id) == [1, 2, 3]
    assert await notifier.metric("sayso_notifier_malformed_records_total") >= before + 3


async def test_repeated_events_arrive_once(notifier: RunningNotifier, publisher: Publisher) -> None:
    """The orchestrator repeats events after a crash."""
    run = moved(FINISHED)
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        await publisher.publish(*run[:4])
        await publisher.publish(*run[1:])
        seen = await through(watching, run[-1])
    assert updates(seen, run[0].run_id) == [event.version for event in run]


async def test_partial_output_arrives_at_clients_that_are_connected(
    notifier: RunningNotifier, backend: Backend
) -> None:
    """In order, with the members that outsiders rely on; the clients of other runs get none of it."""
    run_id, other = uuid4(), uuid4()
    pieces = [
        PartialOutput(
            run_id=run, tenant="default", user_id=None, session_id=None, work_id="w", attempt=1, offset=at, text=text
        )
        for run, at, text in ((run_id, 0, "It is "), (other, 0, "no"), (run_id, 6, "red."))
    ]
    async with notifier.watch(run_id=str(run_id)) as watching:
        await watching.until("SNAPSHOT")
        await backend.send_partial_output(*((piece.run_id.bytes, piece.model_dump_json().encode()) for piece in pieces))
        told = [await watching.until("HITL_PARTIAL_OUTPUT") for _ in range(2)]
    assert [(message["run_id"], message["offset"], message["text"]) for message in told] == [
        (str(run_id), 0, "It is "),
        (str(run_id), 6, "red."),
    ]


async def test_the_metrics_count_clients_messages_and_positions(
    notifier: RunningNotifier, publisher: Publisher
) -> None:
    """And readiness names each check."""
    run = moved(WAITING)
    sent = await notifier.metric('sayso_notifier_messages_total{type="HITL_STATUS_UPDATE"}')
    async with notifier.watch(run_id=str(run[0].run_id)) as watching:
        await watching.until("SNAPSHOT")
        assert await notifier.metric('sayso_notifier_clients{edge="websocket"}') >= 1
        await publisher.publish(*run)
        await through(watching, run[-1])
        await watching.until("HITL_APPROVAL_REQUEST")
    assert await notifier.metric('sayso_notifier_messages_total{type="HITL_STATUS_UPDATE"}') >= sent + 3
    assert await notifier.metric('sayso_notifier_feed_position{partition="0"}') >= 0
    assert await notifier.readiness() == {"kafka": "ok", "feed": "ok", "gateway": "ok"}
