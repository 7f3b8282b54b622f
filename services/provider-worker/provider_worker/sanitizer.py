"""Makes providers' answers fit for events: interoperable JSON (RFC 7493), bounded depth, no secrets. Judges no content."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr

from chassis.settings import Settings
from contracts.json_values import MAX_INTEGER

MAX_LEVELS = 32
"""Deeper values become text: they are still to be wrapped in events and subjects, which stop at twice that."""

SHORTEST_SECRET = 16
"""No vendor's key is shorter; stand-ins for keys are, and hiding such words would riddle ordinary text with holes."""

HIDDEN = "[hidden]"


class Sanitizer:
    """Rewrites JSON values and text so that every reader can hold them, and no key stays in them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]

    def text(self, text: str) -> str:
        """Replace NUL and lone surrogates by U+FFFD, and hide secrets."""
        if len(text) >= SHORTEST_SECRET:
            for secret in self._secrets:
                text = text.replace(secret, HIDDEN)
        if text.isascii() and "\x00" not in text:
            return text
        text = text.replace("\x00", "\ufffd")
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def unsure_of(self, text: str) -> int:
        """Return how many characters at the end of `text` may be the beginning of a secret."""
        longest = min(len(text), max(map(len, self._secrets), default=1) - 1)
        ends = (
            length for length in range(longest, 0, -1) for secret in self._secrets if secret.startswith(text[-length:])
        )
        return next(ends, 0)

    def json(self, value: Any, level: int = 0) -> Any:
        """Return `value` as interoperable JSON.

        Integers of more than 308 digits become strings, NaN and infinities null, member names strings, values nested too deeply their JSON text.
        """
        # Every outgoing member passes here: by exact type, the commonest first.
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict and level < MAX_LEVELS:
            return {self.text(str(name)): self.json(item, level + 1) for name, item in value.items()}
        if kind is list and level < MAX_LEVELS:
            return [self.json(item, level + 1) for item in value]
        if value is None or kind is bool:
            return value
        return self._uncommon(value, level)

    def _uncommon(self, value: Any, level: int) -> Any:
        match value:
            case str():
                return self.text(value)
            case int():
                return value if abs(value) <= MAX_INTEGER else _digits(value)
            case float():
                return value if math.isfinite(value) else None
            case Mapping() | list() | tuple() if level >= MAX_LEVELS:
                return self.text(_as_text(value))
            case Mapping():
                return self.json(dict(value), level)
            case list() | tuple():
                return self.json(list(value), level)
            case _:
                return self.text(str(value))


def secrets_in(settings: Settings) -> list[str]:
    """Return every key, token and URL that a setting holds as a secret."""
    values = (value for _, value in settings)
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def is_too_deep(value: Any) -> bool:
    """Return whether a JSON value is nested beyond MAX_LEVELS, so that sanitizing would change its shape."""
    level, here = 0, _containers([value])
    while here and level < MAX_LEVELS:
        here = _containers(child for item in here for child in (item.values() if isinstance(item, Mapping) else item))
        level += 1
    return bool(here)


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _containers(values: Iterable[Any]) -> list[Any]:
    # Whether something is a Mapping is a slow question, and most values are scalars.
    return [value for value in values if type(value) not in _SCALARS and isinstance(value, Mapping | list | tuple)]


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write thousands of digits
        return hex(value)


def _as_text(value: Any) -> str:
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except (RecursionError, ValueError):
        return "[nested too deeply]"
