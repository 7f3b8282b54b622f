"""Opaque cursors: where a page of a tenant ended, encoded so that clients do not build them. Knows no tables."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from gateway.errors import GatewayError
from gateway.http.caller import TRUSTED
from gateway.ports import Place


class TenantPlace(NamedTuple):
    """Where a page of a tenant ended."""

    place: Place
    tenant: str


class MalformedCursor(GatewayError, ValueError):
    """This is no cursor that a page ended with."""


def write_cursor(place: Place | None, tenant: str) -> str | None:
    """Return the cursor of a place, or None where nothing follows."""
    if place is None:
        return None
    text = f"{place.at.isoformat()} {place.id.hex}"
    if tenant != TRUSTED.tenant:  # whose cursors had this form before there were others
        text += f" {tenant}"
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_cursor(cursor: str) -> TenantPlace:
    """Return the place that a cursor names, and whose list it is of. Raises MalformedCursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        said, place_id, tenant, *_ = [*text.split(" ", 2), TRUSTED.tenant]
        place = Place(at := datetime.fromisoformat(said), UUID(place_id))
    except (ValueError, binascii.Error):
        raise MalformedCursor(MalformedCursor.__doc__) from None
    if at.utcoffset() != timedelta(0) or write_cursor(place, tenant) != cursor:
        raise MalformedCursor(MalformedCursor.__doc__)
    return TenantPlace(place, tenant)
