"""The terminal of `make run`: one line for each run that is started, waits, is decided, is refused or ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.topics import COMMANDS, EVENTS, OUTCOMES
from local_stack.activity.lines import ActivityLines
from local_stack.activity.throttle import LINES_A_SECOND, Throttle
from local_stack.credential import curl_option

GATEWAY = "http://127.0.0.1:8000"
GOLDEN = Path(__file__).parents[2] / "golden"
RUN = f"{GATEWAY}/hitl/runs/00000000-0000-0000-0000-0000000000c0"

APPROVE = f"curl -sS -X POST -H 'If-Match: \"4\"' {RUN}/approve"


def golden(kind: str) -> dict[str, Any]:
    """Return a message as it travels."""
    message: dict[str, Any] = json.loads((GOLDEN / f"{kind}.json").read_text())
    return message


def said(kind: str, **members: object) -> str | None:
    """Return what is said of an event, without its time."""
    line = ActivityLines(GATEWAY).line(EVENTS.name, json.dumps({**golden(kind), **members}).encode())
    return None if line is None else line.partition("  ")[2]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("run-started.v1", "00000000  started    openai by ann: a red bicycle"),
        (
            "checkpoint-opened.v1",
            f"00000000  waiting    payload_review (policy_requires_human); to approve: {APPROVE}",
        ),
        ("checkpoint-approved.v1", "00000000  decided    payload_review approved by ann"),
        ("checkpoint-edited.v1", "00000000  decided    payload_review edited by ann"),
        ("checkpoint-rejected.v1", "00000000  decided    payload_review rejected by ann"),
        ("run-completed.v1", f"00000000  completed  the result: curl -sS {RUN}"),
        ("run-failed.v1", "00000000  failed     no"),
        ("call-ordered.v1", None),
        ("call-noted.v1", None),
    ],
)
def test_an_event_has_the_line_of_its_kind(kind: str, line: str | None) -> None:
    """The run by the beginning of its id, what happened, who did it, and what to do next."""
    assert said(kind) == line


def test_the_commands_bring_the_key_that_is_needed() -> None:
    """From its file, so that no terminal shows it."""
    lines = ActivityLines(GATEWAY, curl_option(Path("a folder/admin.key")))
    waiting = lines.line(EVENTS.name, json.dumps(golden("checkpoint-opened.v1")).encode()) or ""
    assert "curl -sS -H \"authorization: Bearer $(cat 'a folder/admin.key')\" -X POST" in waiting
    assert curl_option(None) == ""


def test_a_decision_without_a_name_is_the_users() -> None:
    """While authentication is off, few say who they are."""
    assert said("checkpoint-approved.v1", actor="anonymous") == "00000000  decided    payload_review approved by u1"


@pytest.mark.parametrize("first", [COMMANDS.name, OUTCOMES.name])
def test_a_refusal_says_who_asked_for_what_and_why_not(first: str) -> None:
    """Command and outcome lie in two topics, and either may be read first."""
    records = {COMMANDS.name: golden("approve-checkpoint.v1"), OUTCOMES.name: golden("refused.v1")}
    lines = ActivityLines(GATEWAY)
    second = next(topic for topic in records if topic != first)
    assert lines.line(first, json.dumps(records[first]).encode()) is None
    line = lines.line(second, json.dumps(records[second]).encode())
    assert line is not None
    assert line.endswith("  00000000  refused    approve by ann: not_allowed, cannot approve")


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b"null", b'{"kind": 1}', b"\xff", b'{"kind": "run-started.v1"}']
)
def test_a_record_that_cannot_be_read_has_no_line(value: bytes | None) -> None:
    """It is the services' business, and stops nothing here."""
    lines = ActivityLines(GATEWAY)
    assert [lines.line(topic.name, value) for topic in (EVENTS, COMMANDS, OUTCOMES)] == [None, None, None]


def test_what_people_wrote_cannot_write_on_the_terminal_by_itself() -> None:
    """Line ends and terminal codes are spaces, and a long text is cut."""
    started = golden("run-started.v1")
    started["data"]["request"]["prompt"] = "a\x1b[2Jb\nc" + "d" * 500
    line = ActivityLines(GATEWAY).line(EVENTS.name, json.dumps(started).encode())
    assert line is not None
    assert "a [2Jb cddd" in line
    assert line.isprintable()
    assert len(line) < 120


def test_under_load_a_second_has_a_bound_of_lines_and_the_others_are_counted() -> None:
    """A terminal is for people."""
    throttle = Throttle()
    assert [throttle.passes(10.5) for _ in range(100)].count(True) == LINES_A_SECOND
    assert throttle.held(10.9) == 0
    assert throttle.held(11.0) == 100 - LINES_A_SECOND
    assert throttle.held(11.1) == 0
    assert throttle.passes(11.2)
