"""An account's limits from the headers of a vendor's answers, refusals included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_LONGEST = 50

Read = Callable[[Mapping[str, str]], dict[str, Any] | None]
"""Reads a vendor's headers; None when they say nothing."""


class VendorLimits:
    """The limits that the last answer spoke of, `known` None before there was one."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.known: dict[str, Any] | None = None

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take the headers of an answer; one that says nothing changes nothing."""
        self.known = self._read(headers) or self.known

    async def note(self, response: Any) -> None:
        """Learn as a response hook of `httpx` or `httpx2`."""
        self.learn(response.headers)


def limits_in(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any] | None:
    """Read limits by the headers in which they stand, None where there are none. Numbers are numbers; all else stays as it is."""
    found = {name: headers[header] for name, header in names.items() if header in headers}
    return {name: int(value) if value.isdecimal() else value[:_LONGEST] for name, value in found.items()} or None
