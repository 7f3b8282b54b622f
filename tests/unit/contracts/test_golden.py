"""The bytes of every kind of message stay what they are: stored events are read for ever, and others read our topics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from contracts.message import Message
from contracts.providers.call_stream import PartialOutput, StopCall
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import Order, parse_order
from contracts.runs.commands import AnyCommand, parse_command
from contracts.runs.events import EVENT_KINDS
from contracts.runs.outcomes import Outcome, parse_outcome
from contracts.runs.run_event import RunEvent
from testkit.runs import golden
from testkit.runs.samples import samples

HOW = ".venv/bin/python -m testkit.runs.golden"
COMMANDS = [kind.model_fields["kind"].default for kind in get_args(AnyCommand)]
OUTCOMES = [kind.model_fields["kind"].default for kind in get_args(Outcome)]
ORDERS = [kind.model_fields["kind"].default for kind in get_args(Order)]
OTHERS: dict[str, type[Message]] = {
    "capabilities": Capabilities,
    **{kind.model_fields["kind"].default: kind for kind in (PartialOutput, StopCall)},
}
KINDS = sorted([*EVENT_KINDS, *COMMANDS, *OUTCOMES, *ORDERS, *OTHERS])
FILES = sorted(golden.FOLDER.glob("*.json"))


def _parse(kind: str) -> Callable[[bytes], Message]:
    if kind in EVENT_KINDS:
        return RunEvent.parse
    if kind in COMMANDS:
        return parse_command
    if kind in OUTCOMES:
        return parse_outcome
    return parse_order if kind in ORDERS else OTHERS[kind].model_validate_json


def _kind(path: Path) -> str:
    """Return the kind whose bytes a file holds, of today (`<kind>.json`) or of some time ago (`<kind>.1.json`)."""
    stem, _, generation = path.stem.rpartition(".")
    return stem if generation.isdigit() else path.stem


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_as_its_golden_file_says(kind: str) -> None:
    """A difference is a change of the wire: add a member and keep the old file beside the new one, or make a new kind."""
    path = golden.FOLDER / f"{kind}.json"
    assert path.exists(), f"{kind} has no golden file; look at what this writes and check it in: {HOW}"
    assert golden.to_bytes(samples()[kind]) == golden.read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_golden_file_reads_as_what_was_written_and_writes_the_same_again(kind: str) -> None:
    """A ledger that was read and a topic that was copied hold the same bytes as before."""
    body = golden.read(golden.FOLDER / f"{kind}.json")
    parsed = _parse(kind)(body)
    assert parsed == samples()[kind]
    assert golden.to_bytes(parsed) == body


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_whatever_was_ever_written_is_still_understood(path: Path) -> None:
    """Bytes of any generation are read, and nothing that they say is lost."""
    body = golden.read(path)
    lost = list(_lost(json.loads(body), json.loads(golden.to_bytes(_parse(_kind(path))(body)))))
    assert lost == []


def test_no_golden_file_is_of_a_kind_that_is_gone() -> None:
    """A kind that was once recorded is read for ever, so it cannot go."""
    assert {_kind(path) for path in FILES} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_golden_file_shows_every_member(kind: str) -> None:
    """A member at its default would be one whose bytes nobody has looked at."""
    assert list(_at_default(samples()[kind])) == []


def test_what_is_lost_is_noticed() -> None:
    """The comparison above can fail: a member that is gone, a value that changed, an item that is missing."""
    before: dict[str, Any] = {"a": 1, "b": [{"c": 1}], "d": {"e": None}}
    assert list(_lost(before, {"b": [{"c": 2}, 3], "d": {"e": None, "f": 1}})) == ["/a", "/b/0/c"]
    assert list(_lost(before, {"a": 1, "b": [], "d": 1})) == ["/b/0", "/d"]
    assert list(_lost({"a": True}, {"a": 1})) == ["/a"]


def _lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from _lost(value, after[name], f"{path}/{name}") if name in after else [f"{path}/{name}"]
    elif isinstance(before, list) and isinstance(after, list):
        for index, value in enumerate(before):
            yield from _lost(value, after[index], f"{path}/{index}") if index < len(after) else [f"{path}/{index}"]
    elif json.dumps(before) != json.dumps(after):
        yield path


def _at_default(message: BaseModel, path: str = "") -> Iterator[str]:
    for name, field in type(message).model_fields.items():
        value, place = getattr(message, name), f"{path}/{name}"
        if name != "kind" and not field.is_required() and value == field.get_default(call_default_factory=True):
            yield place
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, BaseModel):
                yield from _at_default(item, place)
