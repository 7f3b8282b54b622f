"""JSON Pointers (RFC 6901): the one writer of paths into JSON values, and the places that Pydantic's errors name."""

from __future__ import annotations

from collections.abc import Iterable

from jsonpointer import escape
from pydantic_core import ErrorDetails


def pointer(places: Iterable[str | int]) -> str:
    """Return the pointer to the value that these member names and indexes lead to; of none, to the whole."""
    return "".join(f"/{escape(str(place))}" for place in places)


def member(path: str, name: str | int) -> str:
    """Return the pointer to a member of the value that `path` points to."""
    return f"{path}/{escape(str(name))}"


def inside(error: ErrorDetails) -> tuple[str, str]:
    """Return the rest of the way into a value that is plain JSON to Pydantic, and the error's message.

    The check that refuses such a value (`contracts.json_values`) says where inside it is wrong.
    """
    if error["type"] != "json_value":
        return "", error["msg"]
    path = str(error["ctx"]["path"])
    return path, error["msg"].removeprefix(f"{path}: ")
