"""Opaque cursors: where a page of a tenant ended, encoded so that clients do not build them. Knows no tables."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from gateway.errors import GatewayError
from gateway.http.caller import TRUSTED
from gateway.ports import Place, WaitingPlace
from gateway.projection.waiting_list import Sort

MOST_RANK = 2**31 - 1
"""The largest number that a list is sorted by, and the smallest without its sign."""


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
    return _encoded(text)


def read_cursor(cursor: str) -> TenantPlace:
    """Return the place that a cursor names, and whose list it is of. Raises MalformedCursor."""
    try:
        said, place_id, tenant, *_ = [*_decoded(cursor).split(" ", 2), TRUSTED.tenant]
        place = Place(_time(said), UUID(place_id))
    except (ValueError, binascii.Error):
        raise MalformedCursor(MalformedCursor.__doc__) from None
    _require_exact(cursor, write_cursor(place, tenant))
    return TenantPlace(place, tenant)


def write_bound_cursor(place: WaitingPlace | None, scope: str) -> str | None:
    """Return the cursor of a place in the list that `scope` names, or None where nothing follows."""
    if place is None:
        return None
    rank = place.rank.isoformat() if isinstance(place.rank, datetime) else place.rank
    return _encoded(f"{_digest(scope)} {rank} {place.at.isoformat()} {place.id.hex}")


def read_bound_cursor(cursor: str, scope: str, sort: Sort) -> WaitingPlace:
    """Return the place that a cursor of the list `scope` names. Raises MalformedCursor, also for a cursor of another list."""
    try:
        _, rank, at, place_id = _decoded(cursor).split(" ")
        place = WaitingPlace(_time(at), UUID(place_id), _rank(rank, sort))
    except (ValueError, binascii.Error):
        raise MalformedCursor(MalformedCursor.__doc__) from None
    _require_exact(cursor, write_bound_cursor(place, scope))
    return place


def _rank(said: str, sort: Sort) -> datetime | int | None:
    match sort:
        case "opened":
            return None
        case "due":
            return _time(said)
        case "priority":
            if abs(rank := int(said)) > MOST_RANK:
                raise ValueError(said)
            return rank


def _time(said: str) -> datetime:
    at = datetime.fromisoformat(said)
    if at.utcoffset() != timedelta(0):
        raise ValueError(said)
    return at


def _require_exact(cursor: str, written: str | None) -> None:
    if written != cursor:
        raise MalformedCursor(MalformedCursor.__doc__)


def _digest(scope: str) -> str:
    # It holds no right: who builds a cursor of its own begins elsewhere in a list that it may read.
    return sha256(scope.encode()).hexdigest()[:16]


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decoded(cursor: str) -> str:
    padded = cursor + "=" * (-len(cursor) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
