"""The texts in a JSON value, each with its place. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contracts.json_pointer import pointer

_NOT_TEXT = ("artifact:sha256:", "data:")
"""How names of files and files themselves begin, where they stand in place of text."""

_SHORTEST_NUMBER = 10**12
"""The shortest card numbers have 13 digits."""

Place = tuple[str | int, ...]


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """Return every text in `value` with its JSON Pointer (RFC 6901), and numbers that are as long as a card's.

    A member's name is a text of the object that it stands in.
    """
    return ((pointer(place), text) for place, text in _texts(value, ()))


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    match value:
        case str():
            if not value.startswith(_NOT_TEXT):
                yield place, value
        case int() if value >= _SHORTEST_NUMBER:  # times and counts look like telephone numbers, and are none
            yield place, str(value)
        case dict():
            for name, item in value.items():
                yield place, name
                yield from _texts(item, (*place, name))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _texts(item, (*place, index))


def joined(value: Any) -> str:
    """Return every text in `value`, one a line."""
    return "\n".join(text for _, text in _texts(value, ()))
