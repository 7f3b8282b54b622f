"""The cursor: every text that `encode` writes is read, and no other."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st

from notifier.hub.cursor import MAX_LENGTH, MAX_OFFSET, Cursor, decode, encode

cursors = st.builds(
    Cursor,
    log_id=st.text(st.characters(codec="utf-8"), max_size=40),
    offsets=st.lists(st.integers(0, MAX_OFFSET), max_size=12).map(tuple),
)


@given(cursors)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    """Any log and any offsets survive the way to the client and back."""
    assert decode(encode(cursor)) == cursor


@given(cursors)
def test_a_cursor_is_safe_in_a_url(cursor: Cursor) -> None:
    """It needs no escaping in a query."""
    assert re.fullmatch(r"[A-Za-z0-9_-]*", encode(cursor))


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_read_as_none_and_no_error(text: str) -> None:
    """A made-up text is read as none, or reads the same when written again."""
    read = decode(text)
    assert read is None or decode(encode(read)) == read


def test_offsets_are_whole_numbers_from_zero() -> None:
    """Negative, fractional, huge and boolean offsets are no offsets."""
    for offset in (b"-1", b"1.0", b"9223372036854775808", b"true", b'"1"', b"null"):
        assert decode(urlsafe_b64encode(b'["log",%s]' % offset).rstrip(b"=").decode()) is None, offset


def test_a_cursor_of_some_hundred_partitions_is_read() -> None:
    """A cluster decides how many partitions there are, and a cursor names them all."""
    cursor = Cursor("a" * 22, (12_345_678,) * 300)
    assert decode(encode(cursor)) == cursor


def test_a_cursor_of_more_partitions_than_a_request_can_carry_is_empty() -> None:
    """Its clients begin with a snapshot, and no request is refused for its length."""
    assert encode(Cursor("log", (12_345_678,) * 2_000)) == ""


def test_a_cursor_that_is_too_long_is_not_read() -> None:
    """The cost of reading a cursor is bounded."""
    assert decode(encode(Cursor("l" * MAX_LENGTH, (0,)))) is None
