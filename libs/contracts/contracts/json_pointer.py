"""JSON Pointers (RFC 6901): the one writer of paths into JSON values, and the places that Pydantic's errors name."""

from __future__ import annotations

from collections.abc import Iterable

from jsonpointer import escape
from pydantic_core import ErrorDetails, PydanticCustomError


def pointer(places: Iterable[str | int]) -> str:
    """Return the pointer to the value that these member names and indexes lead to; of none, to the whole."""
    return "".join(f"/{escape(str(place))}" for place in places)


def member(path: str, name: str | int) -> str:
    """Return the pointer to a member of the value that `path` points to."""
    return f"{path}/{escape(str(name))}"


def wrong_at(path: str, message: str) -> PydanticCustomError:
    """Return the error of a check that looks at several members: `path` leads to the one that is wrong, from where the check stands."""
    return PydanticCustomError("value_error", "{path}: {said}", {"path": path, "said": message})


def inside(error: ErrorDetails) -> tuple[str, str]:
    """Return the rest of the way into a value that is one to Pydantic, and the error's message.

    The check that refuses such a value (`contracts.json_values`, `wrong_at`) says where inside it is wrong.
    """
    path = error.get("ctx", {}).get("path")
    if not isinstance(path, str):
        return "", error["msg"].removeprefix("Value error, ")
    return path, error["msg"].removeprefix(f"{path}: ")
