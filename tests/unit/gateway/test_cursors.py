"""Cursors: opaque, exact, and refused when they are not ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from gateway.http.cursors import (
    MOST_RANK,
    MalformedCursor,
    read_bound_cursor,
    read_cursor,
    write_bound_cursor,
    write_cursor,
)
from gateway.ports import Place, WaitingPlace
from gateway.projection.waiting_list import Sort

TENANTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40)


@over(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.just("default") | TENANTS)
def test_a_cursor_says_exactly_where_a_page_ended(at: datetime, place_id: UUID, tenant: str) -> None:
    """To the microsecond, so that no item is skipped and none comes twice; and whose page it was."""
    place = Place(at, place_id)
    cursor = write_cursor(place, tenant)
    assert cursor is not None
    assert read_cursor(cursor) == (place, tenant)
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_where_nothing_follows_there_is_no_cursor() -> None:
    """The last page ends the list."""
    assert write_cursor(None, "default") is None


@over(st.text(max_size=80))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Never another error, whatever is sent."""
    try:
        place, tenant = read_cursor(text)
    except MalformedCursor:
        return
    assert write_cursor(place, tenant) == text


PLACES = st.one_of(
    st.tuples(st.just("opened"), st.none()),
    st.tuples(st.just("due"), st.datetimes(timezones=st.just(UTC))),
    st.tuples(st.just("priority"), st.integers(-MOST_RANK, MOST_RANK)),
)


@over(st.datetimes(timezones=st.just(UTC)), st.uuids(), PLACES, st.text(max_size=20))
def test_a_cursor_of_one_list_says_exactly_where_its_page_ended(
    at: datetime, place_id: UUID, rank: tuple[Sort, datetime | int | None], scope: str
) -> None:
    """With what the list is sorted by; under another scope or another sort it is none."""
    sort, value = rank
    place = WaitingPlace(at, place_id, value)
    cursor = write_bound_cursor(place, scope)
    assert cursor is not None
    assert read_bound_cursor(cursor, scope, sort) == place
    for other, otherwise in ((f"{scope}!", sort), (scope, "due" if sort == "priority" else "priority")):
        with pytest.raises(MalformedCursor):
            read_bound_cursor(cursor, other, otherwise)


@over(st.text(max_size=80))
def test_what_is_no_cursor_of_a_list_is_refused(text: str) -> None:
    """Never another error, whatever is sent."""
    with pytest.raises(MalformedCursor):
        read_bound_cursor(text, "a list", "priority")


def test_a_number_that_no_column_holds_is_refused() -> None:
    """Built by a client: it would not be the store's to refuse."""
    forged = write_bound_cursor(WaitingPlace(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7), 2**31), "a list")
    assert forged is not None
    with pytest.raises(MalformedCursor):
        read_bound_cursor(forged, "a list", "priority")


def test_the_last_page_of_a_list_has_no_cursor() -> None:
    """Nothing follows."""
    assert write_bound_cursor(None, "a list") is None


@pytest.mark.parametrize("at", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))])  # noqa: DTZ001
def test_a_forged_time_is_refused(at: datetime) -> None:
    """A time without a zone, or in another, is none that a page ended with."""
    forged = write_cursor(Place(at, UUID(int=7)), "default")
    assert forged is not None
    with pytest.raises(MalformedCursor):
        read_cursor(forged)


def test_the_cursors_of_the_one_tenant_before_are_read() -> None:
    """They named none."""
    text = "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwNw"
    assert read_cursor(text) == (Place(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7)), "default")
    assert write_cursor(*read_cursor(text)) == text
