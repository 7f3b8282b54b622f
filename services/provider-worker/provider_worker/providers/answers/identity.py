"""Reads what names a piece of a streamed answer: its id and its place, in the forms in which servers write them."""

from __future__ import annotations

from typing import Any

_LONGEST_PLACE = 9


def identity_of(value: Any) -> str:
    """Return an id, empty where there is none; some servers number their calls."""
    return str(value) if isinstance(value, str | int) else ""


def place_of(index: Any) -> int | None:
    """Return the place that an index names, as a number or as a text; None where it names none."""
    if isinstance(index, str) and index.isdecimal() and len(index) <= _LONGEST_PLACE:
        return int(index)
    return index if isinstance(index, int) else None
