"""Readers are lenient where contracts grow and strict where they are broken."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from contracts.providers.orders import parse_order
from contracts.runs.commands import command_id, parse_command
from contracts.runs.events import EVENT_KINDS, UnknownEvent
from contracts.runs.outcomes import parse_outcome
from contracts.runs.run_event import RunEvent
from contracts.runs.views import project
from orchestrator.runs import evolve
from testkit.messages import golden
from testkit.runs.commands import at_payload_review

LATER: dict[str, Any] = {
    "kind": "run-forked.v1",
    "run_id": str(UUID(int=0xC0)),
    "version": 4,
    "at": "2026-03-02T10:00:00Z",
    "tenant": "default",
    "user_id": None,
    "session_id": "s1",
    "actor": "ann",
    "cause": str(UUID(int=1)),
    "request_sha256": None,
    "data": {"from_version": 3, "why": ["because", {"x": None}]},
}
"""An event of a kind that this version of the software does not know."""


def _bytes(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


# ---- contracts grow


def test_an_event_of_an_unknown_kind_is_read() -> None:
    """While services are updated one by one, an older reader meets newer events; it keeps their facts."""
    event = RunEvent.parse(_bytes(LATER))
    assert event.kind == "run-forked.v1"
    assert event.data == UnknownEvent(facts=LATER["data"])
    assert dict(event.headers())["kind"] == b"run-forked.v1"


def test_an_event_of_an_unknown_kind_is_written_as_it_came() -> None:
    """Copied or stored by an older reader, it is the same event."""
    assert RunEvent.parse(_bytes(LATER)).to_bytes() == _bytes(LATER)


def test_an_event_of_an_unknown_kind_moves_the_version_and_nothing_else() -> None:
    """Folding goes on: the run and its view stay what they are, so that the events after it fit."""
    story = at_payload_review()
    event = RunEvent.parse(_bytes(LATER))
    run, view = evolve(story.run, event), project(story.view, event)
    assert run.view == view
    moved = {"version": 4, "updated_at": event.at}
    assert view == story.now.view.model_copy(update=moved)


@pytest.mark.parametrize("kind", golden.PARSERS)
def test_members_that_are_not_known_are_ignored(kind: str) -> None:
    """A member that a later version adds breaks no reader of today, at any level."""
    body = json.loads(golden.read(golden.FOLDER / f"{kind}.json"))
    grown = _grown(body)
    assert golden.PARSERS[kind](_bytes(grown)) == golden.sample(kind)


MODELS = (
    "data",
    "request",
    "hitl_config",
    "review_thresholds",
    "preparation",
    "execution",
    "failure",
    "view",
    "intent",
)


def _grown(record: dict[str, Any]) -> dict[str, Any]:
    """Add a member to every object that is a model of ours; free-form objects would take it as theirs."""
    grown = {
        name: _grown(value) if name in MODELS and isinstance(value, dict) else value for name, value in record.items()
    }
    return {**grown, "added_later": {"x": 1}}


# ---- and are kept


@pytest.mark.parametrize("member", ["kind", "run_id", "version", "at", "tenant", "actor", "cause", "data"])
def test_an_event_without_a_member_that_it_needs_is_refused(member: str) -> None:
    """It goes to the dead letters with this for a reason."""
    for known in (LATER, json.loads(golden.read(golden.FOLDER / "run-paused.v1.json"))):
        record = {name: value for name, value in known.items() if name != member}
        with pytest.raises(ValidationError, match=member):
            RunEvent.parse(_bytes(record))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("checkpoint-opened.v1", {}),
        ("run-failed.v1", {"error": "broke"}),
        ("run-prepared.v1", {"work_id": "w", "attempt": "many"}),
        ("run-forked.v1", [1]),
        ("run-forked.v1", None),
    ],
)
def test_an_event_whose_facts_do_not_fit_is_refused(kind: str, data: Any) -> None:
    """A known kind keeps its shape, and facts are an object in any."""
    with pytest.raises(ValidationError, match="data"):
        RunEvent.parse(_bytes({**LATER, "kind": kind, "data": data}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"kind":"unheard-of.v1"}',
        b'{"kind":"approve-checkpoint.v1"}',
        b'{"kind":7}',
        b"[" * 5000,
    ],
)
def test_what_is_no_message_is_refused_and_nothing_else_happens(body: bytes) -> None:
    """Every reader raises the one error that becomes a dead letter."""
    for parse in (parse_command, parse_order, parse_outcome, RunEvent.parse):
        with pytest.raises(ValidationError):
            parse(body)


@pytest.mark.parametrize(
    "member",
    [
        {"at": "2026-03-02T10:00:00"},
        {"actor": ""},
        {"actor": "a\nb"},
        {"actor": "x" * 201},
        {"tenant": ""},
        {"request_sha256": "A" * 64},
        {"subject_sha256": "short"},
        {"checkpoint_id": "1"},
        {"reply_to": -1},
        {"comment": "x" * 20_001},
        {"run_id": None},
    ],
)
def test_a_command_with_a_member_that_does_not_fit_is_refused(member: dict[str, Any]) -> None:
    """Times carry a zone, names are printable and bounded, digests are digests, partitions exist."""
    sound = json.loads(golden.read(golden.FOLDER / "approve-checkpoint.v1.json"))
    with pytest.raises(ValidationError, match=next(iter(member))):
        parse_command(_bytes({**sound, **member}))


@pytest.mark.parametrize(
    "config",
    [
        {"policy": "whoever"},
        {"allowed_steps": ["error_review"]},
        {"allowed_steps": ["lunch"]},
        {"timeout_seconds": 0},
        {"timeout_seconds": -1},
        {"timeout_seconds": 1e12},
        {"timeout_seconds": "soon"},
        {"on_timeout": "shrug"},
        {"on_error": "retry"},
        {"max_attempts": 0},
        {"max_attempts": 21},
        {"lease_seconds": 0.9},
        {"lease_seconds": 3601},
        {"review_thresholds": {"payload_changes_max": 1001}},
        {"review_thresholds": {"confidence_min": 1.1}},
        {"review_thresholds": {"payload_changes_max": -1}},
        {"review_thresholds": {"response_quality_min": "high"}},
    ],
)
def test_a_review_configuration_that_makes_no_sense_is_refused(config: dict[str, Any]) -> None:
    """Before a run begins that could only end badly."""
    sound = json.loads(golden.read(golden.FOLDER / "start-run.v1.json"))
    request = {**sound["request"], "hitl_config": config}
    with pytest.raises(ValidationError, match=next(iter(config))):
        parse_command(_bytes({**sound, "request": request}))


@pytest.mark.parametrize(
    "signals", [{"confidence": 1.1}, {"confidence": -0.1}, {"response_quality": 1.1}, {"payload_changes": -1}]
)
def test_signals_outside_their_scale_are_refused(signals: dict[str, Any]) -> None:
    """A worker that measures on another scale would pass every threshold."""
    sound = json.loads(golden.read(golden.FOLDER / "record-execution.v1.json"))
    execution = {**sound["execution"], "signals": signals}
    with pytest.raises(ValidationError, match=next(iter(signals))):
        parse_command(_bytes({**sound, "execution": execution}))


def test_numbers_that_are_none_are_refused_in_a_configuration() -> None:
    """NaN compares with nothing, so it would pass every bound the other way round."""
    body = golden.read(golden.FOLDER / "start-run.v1.json")
    for number in (b"NaN", b"Infinity"):
        with pytest.raises(ValidationError, match="timeout_seconds"):
            parse_command(body.replace(b'"timeout_seconds":600.0', b'"timeout_seconds":' + number))


# ---- names


def test_a_commands_id_follows_from_what_it_is_about() -> None:
    """Said again it is the same command; about anything else it is another."""
    assert command_id("http", "t", "run", "key") == command_id("http", "t", "run", "key")
    others = {
        command_id("http", "t", "run", "key2"),
        command_id("http", "t", "runk", "ey"),
        command_id("http", "t", "run"),
    }
    assert len(others | {command_id("http", "t", "run", "key")}) == 4


def test_kinds_are_stable_names_with_a_generation() -> None:
    """`checkpoint-opened.v1`: what happened, in the past tense, and which shape it has."""
    for kind, event in EVENT_KINDS.items():
        name, _, generation = kind.rpartition(".")
        assert generation == "v1"
        assert name == "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in event.__name__)[1:]


def test_headers_say_what_readers_filter_by() -> None:
    """API: kind, tenant, user and session, without parsing the value; empty where there is none."""
    event = RunEvent.parse(golden.read(golden.FOLDER / "run-paused.v1.json"))
    assert event.headers() == [
        ("kind", b"run-paused.v1"),
        ("tenant", b"acme"),
        ("user_id", b"u1"),
        ("session_id", b"s1"),
        ("content-type", b"application/json"),
    ]
    assert dict(RunEvent.parse(_bytes(LATER)).headers())["user_id"] == b""
