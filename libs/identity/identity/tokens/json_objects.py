"""JSON objects in which a name stands once: of two members with one name, different readers would believe different ones."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def read_object(text: bytes | str) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError for anything else, for a name that stands twice, for NaN, and for what nests too deep."""
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON at line {error.lineno}, column {error.colno}") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - a fault of the text
    return found


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError("it has a number that JSON does not know")
