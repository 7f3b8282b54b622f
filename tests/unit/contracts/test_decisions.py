"""The builder of commands: the same for every channel, member by member."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import pytest

from contracts.runs import commands as c
from contracts.runs import requests as r
from contracts.runs.decisions import BODIES, Action, CommandHead, command_of

HEAD = CommandHead(
    command_id=UUID(int=1),
    run_id=UUID(int=2),
    at=datetime(2026, 3, 2, tzinfo=UTC),
    actor="ann",
    tenant="acme",
    request_sha256="a" * 64,
    expected_version=7,
)
SEEN = {"checkpoint_id": UUID(int=3), "subject_sha256": "b" * 64, "comment": "good", "message": "hello"}
OF_HEAD = {**HEAD._asdict(), "reply_to": None}


@dataclass
class Case:
    """An action, its body, and what the command says of it beside its head."""

    action: Action
    body: Any
    kind: str
    members: dict[str, Any]


CASES = [
    Case("approve", r.ApproveBody(**SEEN), "approve-checkpoint.v1", SEEN),
    Case("edit", r.EditBody(**SEEN, edits={"a": 1}), "edit-checkpoint.v1", {**SEEN, "edits": {"a": 1}}),
    Case(
        "reject",
        r.RejectBody(**SEEN, reason="no", reason_code="off_brand"),
        "reject-checkpoint.v1",
        {**SEEN, "reason": "no", "reason_code": "off_brand"},
    ),
    Case("pause", r.ControlBody(reason="wait"), "pause-run.v1", {"reason": "wait"}),
    Case("resume", r.ControlBody(), "resume-run.v1", {"reason": None}),
    Case("cancel", r.ControlBody(reason="enough"), "cancel-run.v1", {"reason": "enough"}),
    Case(
        "retry",
        r.RetryBody(**{name: SEEN[name] for name in ("checkpoint_id", "subject_sha256")}, reason="again"),
        "retry-run.v1",
        {**{name: SEEN[name] for name in ("checkpoint_id", "subject_sha256")}, "reason": "again"},
    ),
]


def test_every_action_has_a_case() -> None:
    """A new action is a new line here."""
    assert {case.action for case in CASES} == BODIES.keys() == set(get_args(Action))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
def test_a_body_becomes_the_command_of_its_action(case: Case) -> None:
    """With every member of the head and of the body, and no other."""
    command = command_of(case.action, case.body, HEAD)
    assert command.kind == case.kind
    assert {name: getattr(command, name) for name in type(command).model_fields} == {
        **OF_HEAD,
        **case.members,
        "kind": case.kind,
    }


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.action)
def test_a_response_over_the_socket_becomes_the_same_command(case: Case) -> None:
    """The channel does not matter: only the head may differ."""
    said = {name: value for name, value in case.members.items() if value is not None}
    response = r.ApprovalResponse(
        type="HITL_APPROVAL_RESPONSE", request_id="r1", run_id=HEAD.run_id, action=case.action, **said
    )
    assert command_of(case.action, response, HEAD) == command_of(case.action, case.body, HEAD)


def test_the_actor_of_a_body_is_the_channels_business() -> None:
    """Who decides is said by the head: a credential may know better than the body."""
    command = command_of("approve", r.ApproveBody(actor="mallory"), HEAD)
    assert command.actor == "ann"


def test_a_member_that_a_body_gains_reaches_no_command() -> None:
    """Until the builder names it."""

    class Grown(r.ApproveBody):
        tenant: str = "other"
        expected_version: int = 99

    command = command_of("approve", Grown(), HEAD)
    assert (command.tenant, command.expected_version) == ("acme", 7)


def test_the_body_of_another_action_is_a_fault_of_ours() -> None:
    """It is refused loudly, and nothing is guessed."""
    with pytest.raises(ValueError, match="ControlBody is no body of approve"):
        command_of("approve", r.ControlBody(), HEAD)


def test_commands_of_actions_are_all_of_those_that_people_give() -> None:
    """Every command of a person but the start is built here."""
    kinds = {case.kind for case in CASES}
    assert kinds == {kind.model_fields["kind"].default for kind in get_args(c.Decide) + get_args(c.Control)}
