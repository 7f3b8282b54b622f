"""Tasks and comments over the socket: the same bodies and the same commands as over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import pytest

from contracts.runs import commands as c
from contracts.runs.tasks.bodies import TASK_BODIES
from notifier.protocol.messages import MessageInvalid
from notifier.protocol.outcomes import Speaker
from notifier.protocol.tasks import Said, read_comment, read_task
from testkit.runs.people import ANN, principal

RUN_ID, OTHER = UUID(int=0xC0), UUID(int=0xC1)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SPEAKER = Speaker(None, ANN, NOW)


def task(action: str, **members: Any) -> Said:
    """Read a message about a task."""
    envelope = {"type": "HITL_TASK", "request_id": "r1", "run_id": str(RUN_ID), "action": action}
    return read_task(json.loads(json.dumps({**envelope, **members})))


def comment(**members: Any) -> Said:
    """Read a message about a comment."""
    envelope = {"type": "HITL_COMMENT", "request_id": "r1", "run_id": str(RUN_ID)}
    return read_comment(json.loads(json.dumps({**envelope, **members})))


@pytest.mark.parametrize("action", TASK_BODIES)
def test_each_action_becomes_its_command(action: str) -> None:
    """With the person, the tenant and the time; the same message again is the same command."""
    said = task(action, **({"to": {"user": "bo"}} if action in ("assign", "delegate") else {}))
    command = said.command(SPEAKER)
    assert isinstance(command, get_args(c.OnTask))
    assert (command.run_id, command.actor, command.principal, command.at) == (RUN_ID, "ann", ANN, NOW)
    assert command == said.command(SPEAKER)
    assert said.own(command) == {"type": "HITL_TASK_RESULT", "request_id": "r1", "run_id": RUN_ID}


def test_another_persons_message_of_the_same_id_is_another_command() -> None:
    """And so is another kind of message."""
    ids = {
        said.command(speaker).command_id
        for said in (task("claim"), comment(text="x"))
        for speaker in (SPEAKER, Speaker("bo", None, NOW), Speaker(None, ANN.changed({"tenant": "elsewhere"}), NOW))
    }
    assert len(ids) == 6


def test_a_services_message_is_no_persons_of_its_name() -> None:
    """Nor another owner's service's. A person's id is derived as ever: a message that is sent again across an upgrade is the same."""
    services = [principal(name, kind="service", owner=owner) for name in ("ann", "bot") for owner in ("ann", "cy")]
    said = task("claim")
    ids = [said.command(Speaker(None, who, NOW)).command_id for who in (ANN, *services)]
    assert len(set(ids)) == len(ids)
    assert ids[0] == UUID("7b48508b-e340-588d-9221-51820da2881c")


def test_comments_are_added_answered_edited_and_deleted() -> None:
    """The answer says which comment it is."""
    added = comment(text="why?", reply_to=str(OTHER))
    command = added.command(SPEAKER)
    assert isinstance(command, c.AddComment)
    assert (command.text, command.answers) == ("why?", OTHER)
    assert added.own(command)["comment_id"] == command.command_id
    edited = comment(action="edit", comment_id=str(OTHER), text="why so?")
    assert isinstance(edited.command(SPEAKER), c.EditComment)
    assert edited.own(edited.command(SPEAKER))["comment_id"] == OTHER
    assert isinstance(comment(action="delete", comment_id=str(OTHER)).command(SPEAKER), c.DeleteComment)


def test_without_authentication_the_message_or_the_address_says_who_speaks() -> None:
    """The message first."""
    assert task("claim", actor="bo").actor == "bo"
    assert task("claim").command(Speaker("cy", None, NOW)).actor == "cy"
    assert task("claim").command(Speaker(None, None, NOW)).actor == "anonymous"


@pytest.mark.parametrize(
    ("action", "members", "path"),
    [
        ("vote", {}, "/action"),
        ("claim", {"run_id": "none"}, "/run_id"),
        ("claim", {"request_id": ""}, "/request_id"),
        ("claim", {"until": "tomorrow"}, "/until"),
        ("claim", {"override": 1}, "/override"),
        ("assign", {}, "/to"),
        ("assign", {"to": {"user": "bo", "group": "legal"}}, "/to"),
        ("reschedule", {"priority": 101}, "/priority"),
    ],
)
def test_a_bad_message_names_its_member(action: str, members: dict[str, Any], path: str) -> None:
    """In the terms of the message as it was sent."""
    with pytest.raises(MessageInvalid) as refusal:
        task(action, **members)
    assert path in [fault.path for fault in refusal.value.faults]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({}, "/text"),
        ({"text": ""}, "/text"),
        ({"text": " \n\t\u3000\u200b"}, "/text"),
        ({"text": " ", "reply_to": str(OTHER)}, "/text"),
        ({"action": "edit", "comment_id": str(OTHER), "text": "  "}, "/text"),
        ({"text": "x" * 20_001}, "/text"),
        ({"text": "x", "comment_id": str(OTHER)}, "/comment_id"),
        ({"action": "edit", "text": "x"}, "/comment_id"),
        ({"action": "delete", "comment_id": str(OTHER), "text": "x"}, "/text"),
        ({"action": "shout", "text": "x"}, "/action"),
    ],
)
def test_a_bad_comment_names_its_member(members: dict[str, Any], path: str) -> None:
    """Nothing is said of it."""
    with pytest.raises(MessageInvalid) as refusal:
        comment(**members)
    assert path in [fault.path for fault in refusal.value.faults]
