"""Opaque cursors: where a page ended, encoded so that clients do not build them. Knows no tables."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from uuid import UUID

from gateway.errors import GatewayError
from gateway.ports import Place


class MalformedCursor(GatewayError, ValueError):
    """This is no cursor that a page ended with."""


def write_cursor(place: Place | None) -> str | None:
    """Return the cursor of a place, or None where nothing follows."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(f"{place.at.isoformat()} {place.id.hex}".encode()).rstrip(b"=").decode()


def read_cursor(cursor: str) -> Place:
    """Return the place that a cursor names. Raises MalformedCursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        said, _, place_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(" ")
        place = Place(at := datetime.fromisoformat(said), UUID(place_id))
    except (ValueError, binascii.Error):
        raise MalformedCursor(MalformedCursor.__doc__) from None
    if at.utcoffset() != timedelta(0) or write_cursor(place) != cursor:
        raise MalformedCursor(MalformedCursor.__doc__)
    return place
