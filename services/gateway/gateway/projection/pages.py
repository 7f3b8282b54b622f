"""How much of a list leaves at a time: bytes, not items, since items may be of any size. Pure."""

from __future__ import annotations

from collections.abc import Sequence

PAGE_BYTES = 1024 * 1024
"""Bytes of a page: it ends before its limit where it would be larger. One item is always in it."""


def fitting(items: Sequence[bytes], most: int = PAGE_BYTES) -> int:
    """Return how many of the first items a page has: one at least, if there is any."""
    size = 0
    for at, item in enumerate(items):
        size += len(item)
        if at and size > most:
            return at
    return len(items)
