"""The cursor: how far a client has come, in a form that every instance can read and no client should.

It holds the log's identity and, for each partition, the offset of the next record. It proves nothing and grants nothing.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from pydantic_core import from_json, to_json

MAX_LENGTH = 2048
"""Characters of the longest cursor that is read."""

MAX_OFFSET = 2**63 - 1


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Cursor(NamedTuple):
    """A place in the log `log`: the next offset of each partition, in order of the partitions."""

    log: str
    offsets: tuple[int, ...]


def encode(cursor: Cursor) -> str:
    """Write a cursor as text that is safe in a URL."""
    text = binascii.b2a_base64(to_json([cursor.log, *cursor.offsets]), newline=False)
    return text.rstrip(b"=").translate(_URL_SAFE).decode()


def decode(text: str) -> Cursor | None:
    """Read a cursor; None when it was not made by `encode`."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        held = from_json(base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        return None
    match held:
        case [str(log), *offsets] if all(_is_offset(offset) for offset in offsets):
            return Cursor(log, tuple(offsets))
    return None


def _is_offset(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_OFFSET
