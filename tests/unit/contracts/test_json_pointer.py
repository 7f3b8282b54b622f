"""JSON Pointers (RFC 6901) are written in one place, and lead back to the value."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpointer import JsonPointer
from pydantic import BaseModel, ValidationError

from contracts.json_pointer import inside, member, pointer
from contracts.json_values import JsonObject
from contracts.message import explain


class Holder(BaseModel):
    """A model with a free-form member."""

    value: JsonObject
    count: int = 0


def refused(**members: Any) -> ValidationError:
    """Return the error that a holder of these members raises."""
    with pytest.raises(ValidationError) as found:
        Holder(**members)
    return found.value


@pytest.mark.parametrize(
    ("places", "written"),
    [
        ([], ""),
        (["a", 0, "b"], "/a/0/b"),
        (["a/b", "~"], "/a~1b/~0"),
        (["~1", "~0"], "/~01/~00"),
        (["", ""], "//"),
        (["0", 0], "/0/0"),
    ],
)
def test_names_are_escaped(places: list[str | int], written: str) -> None:
    """`~` is `~0` and `/` is `~1`; an empty name is a name."""
    assert pointer(places) == written


@given(st.lists(st.text() | st.sampled_from(["", "~", "/", "~1", "a/b"]), max_size=5))
def test_a_pointer_leads_to_the_value(names: list[str]) -> None:
    """Another reader of RFC 6901 finds it by what was written."""
    document: Any = "found"
    for name in reversed(names):
        document = {name: document}
    assert JsonPointer(pointer(names)).resolve(document) == "found"


def test_a_pointer_grows_by_a_member() -> None:
    """Written step by step it is the same."""
    assert member(member("", "a/b"), 3) == pointer(["a/b", 3])


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"value": {}, "count": "x"}, "/count: Input should be a valid integer"),
        ({"value": {"a/b": [math.nan]}}, "/value/a~1b/0: NaN and infinities are not JSON"),
        ({"value": {"": math.nan}}, "/value/: NaN and infinities are not JSON"),
    ],
)
def test_an_error_is_explained_in_one_line_with_its_place(members: dict[str, Any], line: str) -> None:
    """The place inside a free-form value is part of it, and nothing that was sent is repeated but names."""
    assert explain(refused(**members)).startswith(line)


def test_an_error_under_a_setting_is_explained_with_the_settings_place() -> None:
    """The reader sees one path."""
    assert explain(refused(value={}, count="x"), under="/pii").startswith("/pii/count: ")


def test_an_error_of_the_whole_has_no_place() -> None:
    """The pointer to the whole document is empty."""
    with pytest.raises(ValidationError) as found:
        Holder.model_validate_json(b"{")
    assert explain(found.value).startswith("Invalid JSON")


def test_what_is_said_of_a_value_leaves_out_its_place() -> None:
    """It stands beside it."""
    (detail,) = refused(value={"a": {"b": math.inf}}).errors()
    assert inside(detail) == ("/a/b", "NaN and infinities are not JSON")
