"""What providers say is made fit for events."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.json_values import canonical_json, check_json
from provider_worker.sanitizer import HIDDEN, MAX_LEVELS, Sanitizer, is_too_deep

ANY_TEXT = st.text(st.characters())
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=5),
    lambda children: st.lists(children) | st.dictionaries(ANY_TEXT | st.integers(), children) | st.tuples(children),
    max_leaves=20,
)


@given(ANY_JSON)
def test_whatever_a_provider_says_becomes_interoperable_json(value: Any) -> None:
    """The result passes the contracts' own check, has a canonical form, and PostgreSQL's JSON can hold it."""
    clean = Sanitizer().json(value)
    check_json(clean)
    canonical_json(clean)
    assert "\\u0000" not in json.dumps(clean)


@given(ANY_JSON)
def test_sanitizing_twice_is_sanitizing_once(value: Any) -> None:
    """A clean value stays as it is."""
    clean = Sanitizer().json(value)
    assert Sanitizer().json(clean) == clean


def test_each_oddity_is_replaced_by_what_comes_nearest() -> None:
    """Integers beyond the range of doubles keep their digits as text, NaN becomes null, broken text keeps its rest."""
    odd = {
        "big": 10**308,
        "exact": -(2**63) - 1,
        "nan": float("nan"),
        "inf": float("-inf"),
        "lone": "a\ud800b",
        "nul": "a\x00b",
        1: "name",
    }
    assert Sanitizer().json(odd) == {
        "big": str(10**308),
        "exact": -9223372036854775809,
        "nan": None,
        "inf": None,
        "lone": "a�b",
        "nul": "a�b",
        "1": "name",
    }


def test_text_beyond_the_basic_plane_is_left_alone() -> None:
    """Only lone surrogates go; an emoji is text like any other."""
    assert Sanitizer().text("🚲 über") == "🚲 über"


def test_a_value_nested_too_deeply_becomes_text() -> None:
    """The depth that remains can be wrapped in an event and a subject."""
    deep: Any = "core"
    for _ in range(500):
        deep = {"in": deep}
    assert is_too_deep(deep)
    clean = Sanitizer().json(deep)
    check_json({"wrapped": [clean] * 2})
    levels = 0
    while isinstance(clean, dict):
        clean, levels = clean["in"], levels + 1
    assert levels == MAX_LEVELS
    assert "core" in clean


def test_a_value_at_the_limit_is_not_too_deep() -> None:
    """What sanitizing would leave alone counts as shallow."""
    value: Any = []
    for _ in range(MAX_LEVELS - 1):
        value = [value]
    assert not is_too_deep(value)
    assert is_too_deep([value])


def test_no_secret_is_left_anywhere() -> None:
    """Keys are hidden in values, in member names and in text."""
    sanitizer = Sanitizer(["sk-a-very-secret-key", "short"])
    said = sanitizer.json(
        {
            "sk-a-very-secret-key": ["key sk-a-very-secret-key.", {"a": "sk-a-very-secret-keysk-a-very-secret-key"}],
            "b": "short",
        }
    )
    assert "sk-a-very-secret-key" not in json.dumps(said)
    assert HIDDEN in json.dumps(said)
    assert said["b"] == "short"
