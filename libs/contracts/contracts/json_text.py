"""The one reader of JSON from outside: every door refuses what readers of JSON do not all understand alike (RFC 7493).

Its rules: UTF-8 without a byte order mark; no two members of one name; at most MAX_DEPTH levels; no NaN, no infinities, none by
overflow either; no lone surrogates; integers of at most MAX_DIGITS digits. How large a text may be is each door's own rule.
"""

from __future__ import annotations

import json
import re
from typing import Any

import jiter
from pydantic_core import PydanticCustomError

from contracts.json_pointer import pointer
from contracts.json_values import MAX_DEPTH, check_json


class JsonRefused(ValueError):
    """A text is no JSON that every reader understands alike. `path` is a JSON Pointer to the place, as far as it is known."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.code = code
        self.message = message
        self.path = path


def read_json(text: bytes | str) -> Any:
    """Return the value that a text says. Raises JsonRefused."""
    body = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    check_depth(body)
    value = _parse(body)
    _check_values(value)
    return value


def check_members(body: bytes) -> None:
    """Raise JsonRefused if `body` is no JSON, or has two members of one name. For records whose model checks all else."""
    _parse(body)


def _parse(body: bytes) -> Any:
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise _explained(body, str(error)) from None


def _explained(body: bytes, found: str) -> JsonRefused:
    """Return why a text is refused, in the words of a reader that is slower and says more."""
    try:
        text = body.decode()
        # `json.loads` names a byte order mark in its error; NaN and lone surrogates pass it, so that their place can be told.
        _check_values(json.loads(text, object_pairs_hook=_members))
    except JsonRefused as refused:
        return refused
    except UnicodeDecodeError as error:
        return JsonRefused("json_invalid", f"not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        return JsonRefused("json_invalid", f"not JSON: {error.msg} at line {error.lineno} column {error.colno}")
    except (ValueError, RecursionError) as error:
        return JsonRefused("json_invalid", f"not JSON: {error}")
    return JsonRefused("json_invalid", f"not JSON: {found}")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise JsonRefused("json_duplicate", f"an object has two members {name[:200]!r}")
        members[name] = value
    return members


def _check_values(value: Any) -> None:
    try:
        check_json(value)
    except PydanticCustomError as error:
        path = str((error.context or {}).get("path", ""))
        raise JsonRefused("json_value", error.message().removeprefix(f"{path}: "), path) from None


# Possessive quantifiers: without backtracking, a text of quotes and backslashes costs no more than any other.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_TOKEN = re.compile(rb'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|[\[\]{}:]', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def check_depth(body: bytes) -> None:
    """Raise JsonRefused if arrays and objects are nested deeper than MAX_DEPTH. Costs one linear scan at most."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += _STEPS[bracket]
        if depth > MAX_DEPTH:
            raise JsonRefused("json_too_deep", f"nested deeper than {MAX_DEPTH} levels", _deep_member(body))


def _deep_member(body: bytes) -> str:
    """Return the JSON Pointer of the outermost member that is too deep."""
    depth, member, last = 0, "", b""
    for token in _TOKEN.finditer(body):
        text = token[0]
        if token["string"] is not None:
            last = text
        elif text == b":":
            member = pointer([last[1:-1].decode(errors="replace")]) if depth == 1 else member
        else:
            depth += _STEPS[text[0]]
            if depth > MAX_DEPTH:
                return member
    return member
