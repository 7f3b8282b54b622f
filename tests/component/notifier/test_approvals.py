"""Decisions over the WebSocket: through the log and back, unchanged, and each once."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from contracts.runs.commands import ApproveCheckpoint, Command, EditCheckpoint
from contracts.runs.outcomes import Accepted, Outcome, Refused
from testkit.runs.commands import at_payload_review
from testkit.runs.pushed_events import moved
from testkit.stack.user import WatchSocket

from .running_notifier import Answers, Publisher, RunningNotifier

WAITING = at_payload_review()


def accept(command: Command) -> Outcome:
    """Accept a command."""
    view = WAITING.now.view.model_copy(update={"run_id": command.run_id})
    return Accepted(command_id=command.command_id, run_id=command.run_id, view=view)


def refuse(command: Command) -> Outcome:
    """Refuse a command, because Bob was first."""
    decision = {"actor": "bob", "action": "reject"}
    return Refused(
        command_id=command.command_id,
        run_id=command.run_id,
        code="checkpoint_already_decided",
        message="bob has decided",
        details={"decision": decision, "state": "failed"},
    )


async def say(watching: WatchSocket, run_id: UUID, **members: Any) -> dict[str, Any]:
    """Send a decision and return its result."""
    message = {"type": "HITL_APPROVAL_RESPONSE", "request_id": uuid4().hex, "run_id": str(run_id), "action": "approve"}
    message |= members
    await watching.say(**message)
    return await watching.until("HITL_APPROVAL_RESULT", request_id=message["request_id"])


async def test_a_decision_reaches_the_orchestrator_and_its_outcome_comes_back(
    notifier: RunningNotifier, answers: Answers
) -> None:
    """With its actor, its checkpoint and its comment."""
    run_id, checkpoint_id = uuid4(), uuid4()
    answers.by_run[run_id] = accept
    async with notifier.watch(user_id="ann", run_id=str(run_id)) as watching:
        result = await say(
            watching, run_id, checkpoint_id=str(checkpoint_id), action="edit", edits={"prompt": None}, comment="shorter"
        )
    assert (result["ok"], result["version"], result["state"]) == (True, WAITING.now.view.version, "payload_review")
    (command,) = answers.of(run_id)
    assert isinstance(command, EditCheckpoint)
    assert (command.actor, command.checkpoint_id, command.edits) == ("ann", checkpoint_id, {"prompt": None})
    assert command.comment == "shorter"


async def test_the_loser_gets_the_winners_decision(notifier: RunningNotifier, answers: Answers) -> None:
    """All details of the refusal are members of the result."""
    run_id = uuid4()
    answers.by_run[run_id] = refuse
    async with notifier.watch(run_id=str(run_id)) as watching:
        result = await say(watching, run_id)
    assert (result["ok"], result["code"]) == (False, "checkpoint_already_decided")
    assert (result["decision"]["actor"], result["state"]) == ("bob", "failed")


async def test_a_request_that_is_repeated_is_the_same_command(notifier: RunningNotifier, answers: Answers) -> None:
    """On another connection too: a client that did not get the answer sends it again."""
    run_id, request_id = uuid4(), uuid4().hex
    answers.by_run[run_id] = accept
    for _ in range(2):
        async with notifier.watch(run_id=str(run_id)) as watching:
            await say(watching, run_id, request_id=request_id)
    once, again = answers.of(run_id)
    assert isinstance(once, ApproveCheckpoint)
    assert (once.command_id, once.request_sha256) == (again.command_id, again.request_sha256)


async def test_a_late_answer_is_called_pending(notifier: RunningNotifier, answers: Answers) -> None:
    """The command was sent; the same request again gets its outcome."""
    run_id, request_id = uuid4(), uuid4().hex
    answers.by_run[run_id] = lambda _: None
    async with notifier.watch(run_id=str(run_id)) as watching:
        late = await say(watching, run_id, request_id=request_id)
        assert (late["ok"], late["code"]) == (False, "pending")
        answers.by_run[run_id] = accept
        assert (await say(watching, run_id, request_id=request_id))["ok"] is True


async def test_decisions_and_events_do_not_wait_for_each_other(
    notifier: RunningNotifier, answers: Answers, publisher: Publisher
) -> None:
    """While one decision is unanswered, events come and other decisions are answered."""
    run_id, silent = uuid4(), uuid4()
    answers.by_run |= {run_id: accept, silent: lambda _: None}
    events = moved(WAITING, run_id)
    async with notifier.watch(run_id=str(run_id)) as watching:
        await watching.until("SNAPSHOT")
        await watching.say(type="HITL_APPROVAL_RESPONSE", request_id="silent", run_id=str(silent), action="approve")
        assert (await say(watching, run_id))["ok"] is True
        await publisher.publish(*events)
        await watching.until("HITL_APPROVAL_REQUEST")
        assert (await watching.until("HITL_APPROVAL_RESULT"))["request_id"] == "silent"


async def test_many_decisions_at_once_are_all_answered(notifier: RunningNotifier, answers: Answers) -> None:
    """More than may be unanswered at once; each gets one result."""
    run_id = uuid4()
    answers.by_run[run_id] = accept
    requests = {f"r{number}" for number in range(50)}
    async with notifier.watch(run_id=str(run_id)) as watching:
        for request_id in requests:
            await watching.say(
                type="HITL_APPROVAL_RESPONSE", request_id=request_id, run_id=str(run_id), action="approve"
            )
        answered = [(await watching.until("HITL_APPROVAL_RESULT"))["request_id"] for _ in requests]
    assert sorted(answered) == sorted(requests)


async def test_an_invalid_message_is_answered_and_the_connection_stays(
    notifier: RunningNotifier, answers: Answers
) -> None:
    """Malformed, unknown, wrong, too deep, not text: an ERROR with the place, and no command."""
    run_id = uuid4()
    answers.by_run[run_id] = accept
    decision = {"type": "HITL_APPROVAL_RESPONSE", "request_id": "r", "run_id": str(run_id), "action": "edit"}
    deep = "[" * 2_000 + "]" * 2_000
    bad: list[tuple[str | bytes, str]] = [
        ("{", ""),
        (deep, ""),
        (b"\x00\x01", ""),
        ('{"type":"FLY"}', "/type"),
        (json.dumps(decision | {"edits": {"a": float("nan")}}), "/edits/a"),
        (json.dumps(decision | {"edits": {}, "color": 1}), "/color"),
        (json.dumps(decision | {"run_id": 5, "edits": {}}), "/run_id"),
        (json.dumps(decision | {"edits": 1}).replace("1}", f"{deep}}}"), "/edits"),
    ]
    async with notifier.watch(run_id=str(run_id)) as watching:
        await watching.until("SNAPSHOT")
        for message, path in bad:
            await watching.send(message)
            error = await watching.until("ERROR")
            assert (error["code"], error["issues"][0]["path"]) == ("validation_failed", path), message
        await watching.say(type="PING")
        await watching.until("PONG")
    assert answers.of(run_id) == []


async def test_a_frame_that_is_too_large_ends_the_connection_alone(notifier: RunningNotifier) -> None:
    """It is refused by its length, also at 30 MB; the service and all other connections stay."""
    run_id = str(uuid4())
    async with notifier.watch(run_id=run_id) as other:
        await other.until("SNAPSHOT")
        async with notifier.watch(run_id=run_id) as watching:
            await watching.until("SNAPSHOT")
            await watching.send("x" * 300_000)
            with pytest.raises(ConnectionClosed) as closed:
                await watching.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        with contextlib.suppress(ConnectionClosed):
            async with notifier.watch(run_id=run_id) as watching:
                await watching.send("x" * 30_000_000)
        await other.say(type="PING")
        await other.until("PONG")


async def test_any_token_is_accepted_while_authentication_is_off(notifier: RunningNotifier) -> None:
    """The token is not read."""
    async with notifier.watch(run_id=str(uuid4())) as watching:
        await watching.say(type="AUTH", token="secret")  # noqa: S106 - not one
        await watching.until("AUTH_OK")
