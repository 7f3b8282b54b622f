"""JSON Pointers (RFC 6901): the one writer of paths into JSON values, and of places inside what is one value to Pydantic."""

from __future__ import annotations

from collections.abc import Iterable

from jsonpointer import escape
from pydantic_core import PydanticCustomError


def pointer(places: Iterable[str | int]) -> str:
    """Return the pointer to the value that these member names and indexes lead to; of none, to the whole."""
    return "".join(f"/{escape(str(place))}" for place in places)


def member(path: str, name: str | int) -> str:
    """Return the pointer to a member of the value that `path` points to."""
    return f"{path}/{escape(str(name))}"


def wrong_at(path: str, message: str) -> PydanticCustomError:
    """Return the error of a check that looks at several members: `path` leads to the one that is wrong, from where the check stands."""
    return PydanticCustomError("value_error", "{path}: {said}", {"path": path, "said": message})
