"""Interoperable JSON (RFC 7493), its canonical form (RFC 8785), and its digest.

One extension to both: integers are exact, with up to 308 digits, and the canonical form writes all of them. Below 2^53 nothing
differs. A reader that has doubles alone must take the digits as text.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, LiteralString

import rfc8785
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from contracts.json_pointer import member

MAX_DEPTH = 64
"""Levels of nesting a JSON value may have; far below what recursive readers (schema validation, RFC 8785) can stand."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 7493, section 2.2)."""

MAX_DIGITS = 308
"""Digits of an integer. Every such integer lies in the range of doubles, so that no reader takes it for infinite."""

MAX_INTEGER = 10**MAX_DIGITS - 1


def check_json(value: Any) -> Any:
    """Return `value` if it is interoperable JSON (RFC 7493), so that its digest is defined.

    Raises PydanticCustomError `json_value` with the pointer to the first value that is not.
    NaN, infinities, lone surrogates and integers beyond MAX_DIGITS are not, nor what nests too deep.
    """
    if not _is_sound(value, 0):
        _explain_unsound(value, "", 0)
    return value


def _is_sound(value: Any, depth: int) -> bool:
    # Every value from outside passes here, member by member: by exact type, the commonest first, and without its path.
    if depth > MAX_DEPTH:
        return False
    kind = type(value)
    if kind is str:
        return _is_text(value)
    if kind is dict:
        for name, item in value.items():
            if type(name) is not str or not (name.isascii() or _is_text(name)):
                return False
            if type(item) is str and item.isascii():  # most members are
                continue
            if not _is_sound(item, depth + 1):
                return False
        return True
    if value is None or kind is bool:
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is float:
        return math.isfinite(value)
    if kind is not list:
        return False
    for item in value:  # noqa: SIM110 - a generator costs half as much again
        if not _is_sound(item, depth + 1):
            return False
    return True


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _explain_unsound(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _unsound(path, f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case None | bool():
            pass
        case str():
            _check_text(value, path)
        case int():
            if abs(value) > MAX_INTEGER:
                raise _unsound(path, "an integer of more than 308 digits; send a string")
        case float():
            if not math.isfinite(value):
                raise _unsound(path, "NaN and infinities are not JSON")
        case dict():
            for name, item in value.items():
                if not isinstance(name, str):
                    raise _unsound(path, "member names are strings")
                _check_text(name, path)
                _explain_unsound(item, member(path, name), depth + 1)
        case list():
            for index, item in enumerate(value):
                _explain_unsound(item, member(path, index), depth + 1)
        case _:
            raise _unsound(path, "not a JSON value")


def _check_text(value: str, path: str) -> None:
    if not _is_text(value):
        raise _unsound(path, "lone surrogates are not Unicode text")


def _unsound(path: str, why: LiteralString) -> PydanticCustomError:
    return PydanticCustomError("json_value", f"{{path}}: {why}" if path else why, {"path": path})


Json = Annotated[Any, AfterValidator(check_json)]
"""Any interoperable JSON value."""

JsonObject = Annotated[dict[str, Any], AfterValidator(check_json)]
"""A JSON object with interoperable members."""

ComposedObject = dict[str, Any]
"""A JSON object that we compose of values which were checked on their way in; it may nest a little deeper than they do."""


def canonical_json(value: Any) -> bytes:
    """Write a JSON value in its one canonical form (RFC 8785), integers with all their digits."""
    return (_write_simple(value) if _is_simple(value) else _write(value)).encode()


_write_simple = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")).encode


def _is_simple(value: Any) -> bool:
    """Return whether Python's own writer, which is in C, writes `value` canonically too.

    It writes some numbers otherwise, very large and very small ones and those like 1.0, and may sort member names beyond ASCII otherwise.
    """
    kind = type(value)
    if kind is dict:
        for name, item in value.items():  # noqa: SIM110 - as above
            if type(name) is not str or not name.isascii() or not (type(item) is str or _is_simple(item)):
                return False
        return True
    if kind is list:
        return all([_is_simple(item) for item in value])  # noqa: C419 - as above
    if kind is float:
        return _SMALLEST <= abs(value) < _LARGEST and not value.is_integer()
    return kind is str or kind is int or kind is bool or value is None


def _write(value: Any) -> str:
    """Write what is not simple. Numbers with exponents are left to the library, which refuses integers beyond 2^53."""
    match value:
        case dict():
            members = sorted(value.items(), key=_name_in_utf16)
            return "{" + ",".join([f"{_write_simple(name)}:{_write(item)}" for name, item in members]) + "}"
        case list() | tuple():
            return "[" + ",".join([_write(item) for item in value]) + "]"
        case float() if value.is_integer() and abs(value) < _LARGEST:
            return str(int(value))
        case float() if _SMALLEST <= abs(value) < _LARGEST:
            return repr(value)  # both standards write the shortest digits; they differ in where exponents begin
        case float():
            return rfc8785.dumps(value).decode()
    return _write_simple(value)


_SMALLEST, _LARGEST = 1e-4, 1e15
"""Between these Python and RFC 8785 write a number alike, without an exponent."""


def _name_in_utf16(member: tuple[str, Any]) -> bytes:
    return member[0].encode("utf-16-be")


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value's canonical form, in lower-case hex. An approval is bound to it."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
