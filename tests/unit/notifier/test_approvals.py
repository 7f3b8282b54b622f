"""Decisions over the socket: read strictly, sent as the same command each time, answered with their outcome."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.json_values import MAX_DEPTH
from contracts.runs.commands import ApproveCheckpoint, Asked, EditCheckpoint, RejectCheckpoint, parse_command
from contracts.runs.outcomes import Answer, Refused
from contracts.runs.views import render
from notifier.errors import BrokerUnavailable
from notifier.protocol.approvals import decide, read_response, to_command
from notifier.protocol.messages import ApprovalResult, MessageInvalid
from testkit.messages.strategies import nested
from testkit.runs.commands import at_payload_review

RUN_ID, CHECKPOINT_ID = uuid4(), uuid4()
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
VIEW = at_payload_review().now.view


def said(**members: Any) -> str:
    """Return a message; a member None is left out."""
    message = {
        "type": "HITL_APPROVAL_RESPONSE",
        "request_id": "r1",
        "run_id": str(RUN_ID),
        "checkpoint_id": str(CHECKPOINT_ID),
        "action": "approve",
        **members,
    }
    return json.dumps({name: value for name, value in message.items() if value is not None})


def command_of(user_id: str | None = "ann", **members: Any) -> Asked:
    """Return the command of a message."""
    return to_command(read_response(said(**members)), user_id, NOW)


@pytest.mark.parametrize(
    ("members", "kind", "own"),
    [
        ({"action": "approve"}, ApproveCheckpoint, {}),
        ({"action": "edit", "edits": {"a": None}}, EditCheckpoint, {"edits": {"a": None}}),
        (
            {"action": "reject", "reason": "no", "reason_code": "off_brand"},
            RejectCheckpoint,
            {"reason": "no", "reason_code": "off_brand"},
        ),
    ],
)
def test_a_response_becomes_the_command_of_its_action(members: dict[str, Any], kind: type, own: dict[str, Any]) -> None:
    """With every member of the decision."""
    command = command_of(**members, comment="fine", message="to all", subject_sha256="a" * 64, actor="bob")
    assert type(command) is kind
    assert parse_command(command.model_dump_json().encode()) == command
    expected = {
        "run_id": RUN_ID,
        "checkpoint_id": CHECKPOINT_ID,
        "at": NOW,
        "actor": "bob",
        "comment": "fine",
        "message": "to all",
        "subject_sha256": "a" * 64,
        **own,
    }
    assert {name: getattr(command, name) for name in expected} == expected


def test_the_same_response_is_the_same_command() -> None:
    """A client that did not get the answer sends it again, and it takes effect once."""
    once, again = command_of(), command_of()
    assert (once.command_id, once.request_sha256) == (again.command_id, again.request_sha256)


@pytest.mark.parametrize(
    "other",
    [
        {"request_id": "r2"},
        {"run_id": str(uuid4())},
        {"checkpoint_id": str(uuid4())},
        {"checkpoint_id": None},
        {"actor": "bob"},
    ],
)
def test_another_request_checkpoint_run_or_person_is_another_command(other: dict[str, Any]) -> None:
    """Two people may use the same request ids."""
    assert command_of().command_id != command_of(**other).command_id


@pytest.mark.parametrize("other", [{"comment": "really"}, {"action": "reject"}, {"subject_sha256": "b" * 64}])
def test_the_same_request_with_another_content_has_another_digest(other: dict[str, Any]) -> None:
    """The orchestrator refuses the same id with another digest."""
    once, changed = command_of(), command_of(**other)
    assert once.command_id == changed.command_id
    assert once.request_sha256 != changed.request_sha256


def test_the_actor_is_the_messages_or_the_sessions_user() -> None:
    """Or anonymous, while authentication is off."""
    assert [command_of(actor="bob").actor, command_of().actor, command_of(user_id=None).actor] == [
        "bob",
        "ann",
        "anonymous",
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (said(action="fly"), "/action"),
        (said(action=None), "/action"),
        (said(run_id="7"), "/run_id"),
        (said(run_id=None), "/run_id"),
        (said(checkpoint_id=5), "/checkpoint_id"),
        (said(request_id=None), "/request_id"),
        (said(request_id=7), "/request_id"),
        (said(request_id="x" * 201), "/request_id"),
        (said(comment=["a"]), "/comment"),
        (said(subject_sha256="A" * 64), "/subject_sha256"),
        (said(colour="red"), "/colour"),
        (said(**{"a/b~": 1}), "/a~1b~0"),
        (said(edits={"a": 1}), "/edits"),
        (said(reason="why not"), "/reason"),
        (said(action="edit"), "/edits"),
        (said(action="edit", edits=[1]), "/edits"),
        (said(action="edit", edits={"a": {"b": float("nan")}}), "/edits/a/b"),
        (said(action="edit", edits={"a": 10**308}), "/edits/a"),
        (said(action="edit", edits=nested(MAX_DEPTH + 1)), "/edits" + "/x" * (MAX_DEPTH + 1)),
        (said(action="edit", edits={"x": 1}).replace('"x"', '"\\ud800"'), ""),
        (said() + "x", ""),
    ],
)
def test_each_fault_is_named_with_its_place(text: str, path: str) -> None:
    """No member is ignored: a reviewer whose edits were dropped would believe them made."""
    with pytest.raises(MessageInvalid) as caught:
        read_response(text)
    assert [fault.path for fault in caught.value.faults] == [path]
    assert all(fault.code and fault.message for fault in caught.value.faults)


async def result_of(outcome: Answer | Exception | None) -> dict[str, Any]:
    """Return the result of an outcome."""

    async def ask(_: Asked) -> Answer | None:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    response = read_response(said())
    result = await decide(response, to_command(response, "ann", NOW), ask)
    ApprovalResult.model_validate(result)
    assert (result["type"], result["request_id"], result["run_id"]) == ("HITL_APPROVAL_RESULT", "r1", RUN_ID)
    return result


async def test_an_accepted_decision_is_answered_with_version_and_state() -> None:
    """Those of the run after it."""
    result = await result_of(render(VIEW))
    assert (result["ok"], result["version"], result["state"]) == (True, VIEW.version, "payload_review")


async def test_a_refusal_is_answered_with_all_its_details() -> None:
    """The loser of two gets the winner's decision; no detail can replace a member of the result."""
    details = {
        "decision": {"actor": "bob"},
        "pending_actions": ["retry"],
        "ok": True,
        "code": "fine",
        "request_id": "r9",
    }
    refused = Refused(
        command_id=UUID(int=1), run_id=RUN_ID, code="checkpoint_already_decided", message="late", details=details
    )
    result = await result_of(refused)
    assert (result["ok"], result["code"], result["message"]) == (False, "checkpoint_already_decided", "late")
    assert (result["decision"], result["pending_actions"]) == ({"actor": "bob"}, ["retry"])


async def test_a_late_answer_is_called_pending_and_not_refused() -> None:
    """The decision may yet count; the same request gets its outcome."""
    result = await result_of(None)
    assert (result["ok"], result["code"]) == (False, "pending")


async def test_a_decision_that_kafka_did_not_take_is_unavailable() -> None:
    """The client may send it again."""
    result = await result_of(BrokerUnavailable("Kafka does not answer"))
    assert (result["ok"], result["code"], result["message"]) == (False, "unavailable", "Kafka does not answer")
