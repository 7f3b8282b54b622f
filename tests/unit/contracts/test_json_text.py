"""The one reader of JSON from outside, and its rules at every door."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis.settings import SettingsError, parse_json_setting
from contracts.json_text import JsonRefused, check_members, read_json
from contracts.providers.orders import parse_order
from contracts.runs.commands import parse_command
from contracts.runs.outcomes import Answer
from contracts.runs.requests import EditBody
from gateway.http.body import parse_json
from gateway.http.models import read_model
from gateway.http.problems import Problem
from notifier.hub.cursor import decode
from notifier.protocol.client_session import ClientSession
from provider_worker.messages.orders import read_order
from provider_worker.providers.answers.content import ENDED, Asked, content_of
from provider_worker.providers.answers.said import Said, ToolCall
from provider_worker.providers.pricing import BadPrices, PriceTable

RUN = "00000000-0000-0000-0000-0000000000c0"
AT = "2026-01-01T00:00:00Z"
DUPLICATE = b'{"a": 1, "a": 2}'

RULES: dict[str, bytes] = {
    "two members of one name": DUPLICATE,
    "two members of one name, one of them escaped": b'{"a": 1, "\\u0061": 2}',
    "two members of one name, deep inside": b'[{"b": {"a": 1, "c": {}, "a": 1}}]',
    "NaN": b'{"a": NaN}',
    "an infinity": b'{"a": [-Infinity]}',
    "a number that overflows": b'{"a": 1e400}',
    "an integer of 309 digits": b'{"a": ' + b"9" * 309 + b"}",
    "an integer of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone surrogate in a name": b'{"\\udfff": 1}',
    "not UTF-8": b'{"a": "\xff"}',
    "65 levels": b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
    "2,000 levels": b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    "a comma too many": b'{"a": 1,}',
}
"""Values that some reader of JSON takes for another value, or cannot read."""

AROUND = {"a byte order mark": b"\xef\xbb\xbf%b", "two values": b"%b {}"}
"""What may stand around a value; `%b` is the value."""

REFUSED = (JsonRefused, Problem, SettingsError, BadPrices, ValueError)


def rest(value: bytes) -> None:
    """Take the body of an edit, as the gateway does."""
    body = b'{"edits": %b}' % value
    read_model(EditBody, body, parse_json(body))


def socket(value: bytes) -> None:
    """Take a decision, as the notifier does."""
    said: list[dict[str, Any]] = []

    async def send(text: str) -> None:
        said.append(json.loads(text))
        answered.set()

    async def ask(_: object) -> Answer | None:
        return None

    answered = asyncio.Event()

    async def speak() -> None:
        session = ClientSession(send, ask, None, lambda: datetime.now(UTC))
        about = b'"type": "HITL_APPROVAL_RESPONSE", "request_id": "r", "run_id": "%b", "action": "edit"' % RUN.encode()
        # A socket's text is UTF-8 before anybody reads it; what is none stands for a byte that was smuggled in.
        await session.receive((b'{%b, "edits": %b}' % (about, value)).decode(errors="surrogateescape"))
        await answered.wait()

    asyncio.run(speak())
    if said[0]["type"] == "ERROR":
        raise ValueError(said[0]["message"])


def command(value: bytes) -> None:
    """Take a record of `run.commands`, as the orchestrator does."""
    about = f'"kind": "edit-checkpoint.v1", "command_id": "{RUN}", "run_id": "{RUN}", "at": "{AT}"'
    parse_command(b'{%b, "edits": %b}' % (about.encode(), value))


def order(value: bytes) -> None:
    """Take a record of `provider.work`, as a worker does."""
    about = f'"kind": "prepare.v1", "run_id": "{RUN}", "work_id": "w", "attempt": 1, "tenant": "t", "deadline": "{AT}"'
    intent = b'{"provider": "sandbox", "prompt": "p", "parameters": {"x": %b}}' % value
    read_order(b'{%b, "lease_seconds": 60, "intent": %b}' % (about.encode(), intent))


def setting(value: bytes) -> None:
    """Take a setting whose value is JSON."""
    parse_json_setting("SAYSO_LIMITS", value.decode(errors="surrogateescape"), object)


def answer(value: bytes) -> None:
    """Take a model's answer, which is a text: one that is no JSON has the quality 0."""
    content = content_of(Said(text=value.decode(errors="surrogateescape")), ENDED, Asked(as_json=True))
    if content.quality == 0:
        assert content.response["json"] is None
        raise ValueError(content.response["text"])


def arguments(value: bytes) -> None:
    """Take the arguments of a tool that a model calls: those that are no JSON have a quality of 0.2 at most."""
    call = ToolCall(shown={}, name="t", arguments=value.decode(errors="surrogateescape"))
    if content_of(Said(calls=(call,)), ENDED, Asked()).quality != ENDED:
        raise ValueError(value)


DOORS: dict[str, Callable[[bytes], None]] = {
    "REST": rest,
    "WebSocket": socket,
    "Kafka, commands": command,
    "Kafka, orders": order,
    "settings": setting,
    "a model's answer": answer,
    "a tool's arguments": arguments,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_holds_at_each_door(rule: str, door: str) -> None:
    """A decision that one door refuses passes no other: a reject with a second `action` became an edit over the socket."""
    with pytest.raises(REFUSED):
        DOORS[door](RULES[rule])


@pytest.mark.parametrize("door", DOORS)
def test_what_the_rules_allow_passes_each_door(door: str) -> None:
    """64 digits, brackets in texts, escapes that are whole, one name in two objects."""
    DOORS[door](
        b'{"a": {"a": 1497549923779084388}, "b": ["[{", "\\ud83d\\ude00", 1e5, -0.0, "\\u0000"], "c": -%b}'
        % (b"9" * 308)
    )


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("take", [parse_json, parse_command, parse_order, read_json, check_members])
def test_a_text_is_one_value_and_nothing_before_it(take: Callable[[bytes], Any], around: str) -> None:
    """A byte order mark is invisible to its sender, and a second value to some readers."""
    with pytest.raises(REFUSED):
        take(AROUND[around] % b"{}")


def test_a_decision_with_a_second_action_is_refused_over_the_socket() -> None:
    """The last one would win: what a person rejected would be edited and approved."""
    with pytest.raises(ValueError, match="two members 'action'"):
        socket(b'{}, "action": "reject"')


def test_prices_and_cursors_keep_to_the_rules_too(tmp_path: Path) -> None:
    """An operator's file with two prices for one model, a cursor that nests without end."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"openai": {"m": {"input": "1", "output": "1"}, "m": {"input": "2", "output": "2"}}}')
    with pytest.raises(BadPrices, match="two members 'm'"):
        PriceTable.of("provider_worker.providers.openai").under(prices, "openai")
    assert decode(base64.urlsafe_b64encode(b"[" * 100 + b"]" * 100).decode()) is None


@pytest.mark.parametrize(
    ("body", "code", "path", "said"),
    [
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "json_duplicate", "", "two members 'b'"),
        (b'{"a": [1, NaN]}', "json_value", "/a/1", "NaN"),
        (b'{"a": [1e999]}', "json_value", "/a/0", "NaN"),
        (b'{"a": {"b": "\\ud800"}}', "json_value", "/a/b", "surrogates"),
        (b'{"n": ' + b"1" * 400 + b"}", "json_value", "/n", "308 digits"),
        (b'{"a": "\xff"}', "json_invalid", "", "not UTF-8 at byte 7"),
        (b'{"a": 1,}', "json_invalid", "", "line 1 column"),
        (b"\xef\xbb\xbf{}", "json_invalid", "", "BOM"),
        (b'{"deep": ' + b"[" * 70 + b"]" * 70 + b"}", "json_too_deep", "/deep", "64 levels"),
    ],
)
def test_a_refusal_says_why_and_where(body: bytes, code: str, path: str, said: str) -> None:
    """In the same words at every door."""
    with pytest.raises(JsonRefused) as refused:
        read_json(body)
    assert (refused.value.code, refused.value.path) == (code, path)
    assert said in refused.value.message


@pytest.mark.timeout(5)
def test_a_duplicate_behind_very_many_members_is_found_at_once() -> None:
    """A hundred thousand names were compared with each other: minutes in the one thread of a gateway."""
    members = b", ".join(b'"n%d": 0' % number for number in range(100_000))
    with pytest.raises(JsonRefused, match="'n99999'"):
        read_json(b'{%b, "n99999": 1}' % members)


def test_types_are_strict_in_commands_as_in_bodies() -> None:
    """A text is no number and a number no text, from every sender."""
    good = {"kind": "cancel-run.v1", "command_id": RUN, "run_id": RUN, "at": AT, "expected_version": 5, "reason": "r"}
    assert parse_command(json.dumps(good).encode()).run_id == UUID(RUN)
    for wrong in (
        {"expected_version": "5"},
        {"expected_version": 5.5},
        {"reason": 5},
        {"reply_to": True},
        {"run_id": 7},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            parse_command(json.dumps({**good, **wrong}).encode())
