"""The rules of a decision, beside those of JSON: each holds at each door by which a decision comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.runs.commands import Asked, parse_command
from contracts.runs.decisions import BODIES, Action
from contracts.runs.outcomes import Answer
from gateway.http.body import parse_json
from gateway.http.models import read_model
from gateway.http.problems import Problem
from notifier.protocol.client_session import ClientSession

ID = "00000000-0000-0000-0000-0000000000c0"
KINDS = {"approve": "approve-checkpoint.v1", "edit": "edit-checkpoint.v1", "reject": "reject-checkpoint.v1"}

Members = Mapping[str, Any]


def rest(action: Action, members: Members) -> None:
    """Take a decision as the gateway does."""
    body = json.dumps(members).encode()
    read_model(BODIES[action], body, parse_json(body))


def socket(action: Action, members: Members) -> None:
    """Take a decision as the notifier does."""
    asked: list[Asked] = []
    said: list[dict[str, Any]] = []

    async def speak() -> None:
        done = asyncio.Event()

        async def send(text: str) -> None:
            said.append(json.loads(text))
            done.set()

        async def ask(decision: Asked) -> Answer | None:
            asked.append(decision)
            return None

        session = ClientSession(send, ask, None, lambda: datetime.now(UTC))
        about = {"type": "HITL_APPROVAL_RESPONSE", "request_id": "r", "run_id": ID, "action": action}
        await session.receive(json.dumps({**about, **members}))
        await done.wait()

    asyncio.run(speak())
    if said[0]["type"] == "ERROR":
        assert asked == []
        raise ValueError(said[0]["message"])


def kafka(action: Action, members: Members) -> None:
    """Take a decision as the orchestrator does."""
    about = {"kind": KINDS[action], "command_id": ID, "run_id": ID, "at": "2026-01-01T00:00:00Z"}
    parse_command(json.dumps({**about, **members}).encode())


DOORS: dict[str, Callable[[Action, Members], None]] = {"REST": rest, "WebSocket": socket, "Kafka": kafka}

REFUSED: dict[str, tuple[Action, Members]] = {
    "a checkpoint that is no id": ("approve", {"checkpoint_id": "x"}),
    "a digest that is none": ("approve", {"subject_sha256": "x"}),
    "a digest in capitals": ("approve", {"subject_sha256": "A" * 64}),
    "a number for a text": ("approve", {"comment": 5}),
    "an actor without a name": ("approve", {"actor": ""}),
    "an actor with a line break": ("approve", {"actor": "ann\nbob"}),
    "an actor with NUL": ("approve", {"actor": "ann\x00"}),
    "a long actor": ("approve", {"actor": "a" * 201}),
    "a long comment": ("approve", {"comment": "c" * 20_001}),
    "a long message": ("approve", {"message": "c" * 20_001}),
    "a long reason": ("reject", {"reason": "c" * 20_001}),
    "an edit without edits": ("edit", {}),
    "edits that are a list": ("edit", {"edits": [1]}),
    "edits that are null": ("edit", {"edits": None}),
    "edits that nest too deep": ("edit", {"edits": {"a": json.loads("[" * 65 + "]" * 65)}}),
}
AT_THE_EDGES: dict[str, tuple[Action, Members]] = {
    "an unknown member": ("approve", {"approve": True}),
    "edits for an approval": ("approve", {"edits": {"a": 1}}),
    "a reason for an edit": ("edit", {"edits": {}, "reason": "r"}),
}
"""Records on Kafka grow by members that older readers do not know, so these are refused where people speak."""

TAKEN: dict[str, tuple[Action, Members]] = {
    "an approval": ("approve", {"checkpoint_id": ID, "subject_sha256": "a" * 64, "comment": "fine", "actor": "ann"}),
    "an edit": ("edit", {"edits": {"prompt": "a", "gone": None}, "message": "m"}),
    "a rejection": ("reject", {"reason": "no", "comment": "c" * 20_000}),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("rule", REFUSED)
def test_a_decision_that_one_door_refuses_passes_no_other(rule: str, door: str) -> None:
    """The contracts hold the rule, so that no channel goes around it."""
    with pytest.raises((Problem, ValueError)):
        DOORS[door](*REFUSED[rule])


@pytest.mark.parametrize("door", ["REST", "WebSocket"])
@pytest.mark.parametrize("rule", AT_THE_EDGES)
def test_a_member_that_would_be_ignored_is_refused(rule: str, door: str) -> None:
    """A reviewer whose edits were ignored would believe them made."""
    with pytest.raises((Problem, ValueError)):
        DOORS[door](*AT_THE_EDGES[rule])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("decision", TAKEN)
def test_a_decision_passes_every_door_alike(decision: str, door: str) -> None:
    """What one takes, all take."""
    DOORS[door](*TAKEN[decision])
