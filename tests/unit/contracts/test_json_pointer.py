"""JSON Pointers (RFC 6901) are written in one place, and lead back to the value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpointer import JsonPointer

from contracts.json_pointer import member, pointer


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
