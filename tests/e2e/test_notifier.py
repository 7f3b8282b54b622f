"""Events are pushed to the clients that watch their run, and none is missed."""

from __future__ import annotations

import json
from uuid import uuid4

from testkit.stack.services import Stack
from testkit.stack.user import User

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


async def test_a_run_is_watched_and_decided_over_the_websocket_alone(ann: User) -> None:
    """Requests come, decisions go, results come back, to the end."""
    session = uuid4().hex
    async with ann.watch(session_id=session) as watching:
        await watching.until("SNAPSHOT")
        run_id = (await ann.start(hitl=TWO, session_id=session))["run_id"]
        request = await watching.until("HITL_APPROVAL_REQUEST", run_id=run_id)
        assert request["checkpoint"]["step"] == "payload_review"
        result = await watching.decide(request, "approve", subject_sha256=request["checkpoint"]["subject_sha256"])
        assert result["ok"] is True
        request = await watching.until("HITL_APPROVAL_REQUEST", run_id=run_id)
        assert request["checkpoint"]["step"] == "response_review"
        assert (await watching.decide(request, "edit", edits={"text": "by socket"}))["ok"] is True
        over = await watching.until("HITL_STATUS_UPDATE", run_id=run_id, state="completed")
        assert over["event"]["kind"] == "run-completed.v1"
    assert (await ann.view(run_id, over["version"]))["result"]["text"] == "by socket"


async def test_the_loser_over_the_websocket_gets_the_decision(ann: User, bob: User) -> None:
    """One decision over this channel too: the orchestrator decides, not the notifier."""
    session = uuid4().hex
    async with ann.watch(session_id=session) as watching:
        await watching.until("SNAPSHOT")
        run_id = (await ann.start(hitl=TWO, session_id=session))["run_id"]
        request = await watching.until("HITL_APPROVAL_REQUEST", run_id=run_id)
        await bob.decide(await bob.until(run_id, "payload_review"), "approve")
        lost = await watching.decide(request, "reject")
        assert (lost["ok"], lost["code"], lost["decision"]["actor"]) == (False, "checkpoint_already_decided", "bob")


async def test_a_client_that_returns_with_its_cursor_misses_nothing(ann: User) -> None:
    """The events since its cursor come first, in order."""
    session = uuid4().hex
    async with ann.watch(session_id=session) as watching:
        await watching.until("SNAPSHOT")
        run_id = (await ann.start(hitl=TWO, session_id=session))["run_id"]
        request = await watching.until("HITL_APPROVAL_REQUEST", run_id=run_id)
    await ann.decide(await ann.until(run_id, "payload_review"), "approve")
    await ann.until(run_id, "response_review")
    async with ann.watch(session_id=session, cursor=request["cursor"]) as returned:
        await returned.until("HITL_APPROVAL_REQUEST", run_id=run_id)
    versions = [message["version"] for message in returned.seen if message["type"] == "HITL_STATUS_UPDATE"]
    assert versions == list(range(request["version"] + 1, request["version"] + 1 + len(versions)))


async def test_a_client_without_a_cursor_begins_with_a_snapshot(ann: User) -> None:
    """The snapshot holds the approvals and the other runs that the filters name, each once."""
    session = uuid4().hex
    run_id = (await ann.start(hitl=TWO, session_id=session))["run_id"]
    await ann.until(run_id, "payload_review")
    async with ann.watch(session_id=session) as watching:
        snapshot = await watching.next()
    assert snapshot["type"] == "SNAPSHOT"
    assert [approval["run_id"] for approval in snapshot["approvals"]] == [run_id]
    assert (snapshot["runs"], snapshot["more"]) == ([], False)


async def test_watchers_of_other_sessions_see_nothing(ann: User) -> None:
    """Routed by user, session and run."""
    mine, other, user = uuid4().hex, uuid4().hex, uuid4().hex
    async with ann.watch(session_id=other) as stranger, ann.watch(user_id=user) as watching:
        await stranger.until("SNAPSHOT")
        await watching.until("SNAPSHOT")
        run_id = (await ann.start(hitl=TWO, session_id=mine, user_id=user))["run_id"]
        await watching.until("HITL_APPROVAL_REQUEST", run_id=run_id)
        theirs = (await ann.start(hitl=TWO, session_id=other))["run_id"]
        await stranger.until("HITL_APPROVAL_REQUEST", run_id=theirs)
    assert run_id not in [message.get("run_id") for message in stranger.seen]


async def test_bad_messages_are_answered_and_the_connection_stays(ann: User) -> None:
    """Malformed, unknown and invalid messages get an ERROR; PING gets its PONG afterwards."""
    async with ann.watch(session_id=uuid4().hex) as watching:
        await watching.until("SNAPSHOT")
        for message in ({"type": "FLY"}, {"type": "HITL_APPROVAL_RESPONSE", "request_id": "r", "run_id": 5}):
            await watching.say(**message)
            assert (await watching.until("ERROR"))["code"] == "validation_failed"
        await watching.say(type="PING")
        await watching.until("PONG")


async def test_a_stream_at_the_notifiers_address_is_the_gateways(ann: User, stack: Stack) -> None:
    """The notifier redirects; past events and then new ones come, continued after `Last-Event-ID`."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    await ann.decide(await ann.until(run_id, "payload_review"), "approve")
    await ann.decide(await ann.until(run_id, "response_review"), "approve")
    await ann.until(run_id, "completed")
    events = await ann.history(run_id)
    url, ids = f"{stack.notifier_url}/hitl/runs/{run_id}/events", []
    async with ann.http.stream("GET", url, headers={"Last-Event-ID": "2"}, follow_redirects=True) as answer:
        assert str(answer.url) == f"{stack.gateway_url}/hitl/runs/{run_id}/events"
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("id:"):
                ids.append(int(line.removeprefix("id:")))
            if line.startswith("data:") and "run-completed.v1" in line:
                json.loads(line.removeprefix("data:"))
                break
    assert ids == list(range(3, len(events) + 1))
