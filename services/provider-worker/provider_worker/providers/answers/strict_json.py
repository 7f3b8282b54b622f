"""Reads the JSON that a model wrote. Two members of one name, NaN and infinities are no JSON: readers differ on what they mean."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def read_strictly(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError."""
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("two members of one name")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse)
