"""The cursor: a client's place in the log, opaque to clients and readable by every instance.

It holds the log's identity and, for each partition, the offset of the next record. It is no credential.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from pydantic_core import to_json

from contracts.json_text import read_json

MAX_LENGTH = 6_000
"""Characters; a longer cursor is not read. Some hundred partitions fit, and so does the line of a request that brings it."""

MAX_OFFSET = 2**63 - 1

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Cursor(NamedTuple):
    """A place in the log `log_id`: the next offset of each partition, in order of the partitions."""

    log_id: str
    offsets: tuple[int, ...]


def encode(cursor: Cursor) -> str:
    """Write a cursor as text that is safe in a URL. A log of too many partitions has an empty one: its clients get snapshots."""
    text = binascii.b2a_base64(to_json([cursor.log_id, *cursor.offsets]), newline=False).rstrip(b"=")
    return text.translate(_URL_SAFE).decode() if len(text) <= MAX_LENGTH else ""


def decode(text: str) -> Cursor | None:
    """Read a cursor; None when it was not made by `encode`."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        members = read_json(base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        return None
    match members:
        case [str(log_id), *offsets] if all(_is_offset(offset) for offset in offsets):
            return Cursor(log_id, tuple(offsets))
    return None


def _is_offset(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_OFFSET
