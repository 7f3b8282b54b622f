"""The bytes of every kind of message stay what they are: stored events are read for ever, and others read our topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from testkit.messages import golden
from testkit.messages.golden import PARSERS

FILES = sorted(golden.FOLDER.glob("*.json"))


def _kind(path: Path) -> str:
    """Return the kind whose bytes a file holds, of today (`<kind>.json`) or of some time ago (`<kind>.1.json`)."""
    stem, _, generation = path.stem.rpartition(".")
    return stem if generation.isdigit() else path.stem


@pytest.mark.parametrize("kind", PARSERS)
def test_every_golden_file_is_written_the_same_again(kind: str) -> None:
    """A difference is a change of the wire: add a member and keep the old file beside the new one, or make a new kind."""
    path = golden.FOLDER / f"{kind}.json"
    assert path.exists(), f"{kind} has no golden file: {golden.__doc__}"
    assert golden.to_bytes(golden.sample(kind)) == golden.read(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_whatever_was_ever_written_is_still_understood(path: Path) -> None:
    """Bytes of any generation are read, and nothing that they say is lost."""
    body = golden.read(path)
    lost = list(_lost(json.loads(body), json.loads(golden.to_bytes(PARSERS[_kind(path)](body)))))
    assert lost == []


def test_no_golden_file_is_of_a_kind_that_is_gone() -> None:
    """A kind that was once recorded is read for ever, so it cannot go."""
    assert {_kind(path) for path in FILES} == set(PARSERS)


@pytest.mark.parametrize("kind", PARSERS)
def test_a_golden_file_shows_every_member(kind: str) -> None:
    """A member at its default would be missing from the bytes that are compared."""
    assert list(_at_default(golden.sample(kind))) == []


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
