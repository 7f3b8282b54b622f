"""What the client library gives up on is read record by record, and what cannot be read is set aside with its place."""

from __future__ import annotations

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from messaging.client.record_salvage import UNREADABLE, Salvage, salvage
from testkit.kafka.record_batches import CODECS, Given, batch_of, damaged, record_of, sealed

PLACE = TopicPartition("t", 3)
ERROR = ValueError("the library gave up")
GOOD = [Given(b"k%d" % number, b"v%d" % number, [(b"h", b"\xff"), (b"n", None)]) for number in range(5)]


def salvaged(fetched: bytes, position: int = 0, end: int = 1_000) -> Salvage:
    """Salvage what was fetched at a position."""
    return salvage(PLACE, fetched, position, end, ERROR)


def said(record: ConsumerRecord) -> tuple[int, bytes | None, bytes | None]:
    """Return the place and content of a record."""
    return (record.offset, record.key, record.value)


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_name_that_is_no_text_costs_nothing_but_its_spelling(codec: int) -> None:
    """All records of its batch are read, packed in whatever way; the name is written with escapes."""
    odd = Given(b"k", None, [(b"trac\xff\xe9", b"\x00")])
    found = salvaged(batch_of([*GOOD, odd, *GOOD], base=100, codec=codec), 100)
    assert [said(record) for record in found.records] == [
        (100 + number, given.key, given.value) for number, given in enumerate([*GOOD, odd, *GOOD])
    ]
    assert found.records[5].headers == (("trac\\xff\\xe9", b"\x00"),)
    assert {record.headers for record in found.records if record.offset != 105} == {(("h", b"\xff"), ("n", None))}
    assert {(record.topic, record.partition, record.timestamp) for record in found.records} == {("t", 3, 1_000)}
    assert found.after == 111


def test_what_was_handed_on_before_is_not_handed_on_again() -> None:
    """Records before the position are passed over, and so are batches that end there."""
    fetched = batch_of(GOOD, base=0) + batch_of(GOOD, base=5) + batch_of(GOOD, base=10)
    found = salvaged(fetched, 7)
    assert [record.offset for record in found.records] == [7, 8, 9]
    assert found.after == 10


def test_a_damaged_batch_is_set_aside_whole_and_the_next_one_is_next() -> None:
    """Nothing in it is believed; its bytes and the reason are kept under the first of its offsets."""
    bad = damaged(batch_of(GOOD, base=5))
    found = salvaged(batch_of(GOOD) + bad + batch_of(GOOD, base=12), 5)
    (record,) = found.records
    assert (record.offset, record.key, record.value) == (5, None, bad)
    assert record.headers == ((UNREADABLE, b"ValueError: the library gave up"),)
    assert found.after == 12


@pytest.mark.parametrize(("end", "after"), [(1_000, 10), (10, 10), (9, 6), (6, 6)])
def test_where_a_damaged_batch_ends_is_believed_as_far_as_the_log_reaches(end: int, after: int) -> None:
    """The last batch says itself how long it is; a position beyond the log would begin it anew."""
    assert salvaged(damaged(batch_of(GOOD, base=5)), 5, end).after == after


def test_a_damaged_batch_behind_a_gap_is_set_aside_under_its_own_offset() -> None:
    """Compaction leaves gaps; the position may stand in one."""
    found = salvaged(batch_of(GOOD) + damaged(batch_of(GOOD, base=20)), 5)
    assert [record.offset for record in found.records] == [20]
    assert found.after == 25


def test_a_record_that_lies_about_its_parts_is_set_aside_alone() -> None:
    """Its neighbours are read: each record says how long it is."""
    liar = record_of(Given(b"k", b"v"), 1).replace(b"\x02k", b"\x7fk")
    found = salvaged(batch_of([GOOD[0], liar, GOOD[2]]))
    assert [record.offset for record in found.records] == [0, 1, 2]
    assert [record.value for record in found.records] == [b"v0", liar, b"v2"]
    assert found.records[1].headers[0][0] == UNREADABLE
    assert found.after == 3


def test_records_behind_a_length_that_cannot_be_are_set_aside_together() -> None:
    """Where the next one begins is not known; the batch behind them is."""
    whole = batch_of(GOOD[:2])[61:]
    found = salvaged(sealed(0, 0, 5, whole + b"\xfe\xff\x7f" + b"rest"))
    assert [record.value for record in found.records] == [b"v0", b"v1", b"\xfe\xff\x7frest"]
    assert found.after == 5


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5])
def test_a_batch_that_cannot_be_unpacked_is_set_aside(codec: int) -> None:
    """Broken in its packing, or packed in a way that nobody knows."""
    bad = sealed(7, codec, 3, b"not packed so")
    found = salvaged(bad, 7)
    assert [said(record) for record in found.records] == [(7, None, bad)]
    assert found.after == 10


def test_bytes_that_hold_no_batch_are_set_aside() -> None:
    """Whatever it is, the position moves on."""
    found = salvaged(b"\x00" * 30, 9)
    assert [said(record) for record in found.records] == [(9, None, b"\x00" * 30)]
    assert found.after == 10


def altered(data: st.DataObject, whole: bytes) -> bytes:
    """Change a few bytes, and cut the end off or not."""
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed[: data.draw(st.integers(len(changed) // 2, len(changed)))])


def holds(found: Salvage, position: int) -> None:
    """Check that offsets rise within the salvage, and that it moves the position on, yet not past the log."""
    offsets = [record.offset for record in found.records]
    assert offsets == sorted(set(offsets))
    assert all(position <= offset < found.after for offset in offsets)
    assert position < found.after <= 10


@given(st.data())
def test_any_bytes_are_salvaged_and_the_position_moves_on(data: st.DataObject) -> None:
    """Any byte of a fetch may be another: nothing raises, nothing is repeated, and the end of the log is not passed."""
    fetched = altered(data, batch_of(GOOD, codec=data.draw(st.sampled_from([0, 1]))) + batch_of(GOOD, base=5))
    position = data.draw(st.integers(0, 9))
    holds(salvaged(fetched, position, 10), position)


@given(st.data())
def test_any_batch_that_its_writer_broke_is_salvaged(data: st.DataObject) -> None:
    """The checksum is right and what it covers is wrong."""
    packed = altered(data, batch_of(GOOD)[61:])
    position = data.draw(st.integers(0, 4))
    holds(salvaged(sealed(0, 0, data.draw(st.integers(0, 9)), packed), position, 10), position)
