"""Records out of fetched bytes that the client library cannot read. Pure: no I/O, no state.

The library reads header names as strict UTF-8 and raises for a whole partition when a batch is damaged. Here each record
is read by itself. One that cannot be read is set aside: a record without key, its bytes as the value, the reason in the
header `unreadable`. Its handler makes a dead letter of it, as of any other malformed record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode

from messaging.aiokafka_internals.records import DefaultRecordBatch, decode_varint

UNREADABLE = "unreadable"
"""Header of a record that was set aside; its value says why."""

_BEFORE_BATCH = struct.Struct(">qi")  # base offset, length of what follows; both outside the checksum
_HEADER_BYTES, _MAGIC_AT, _LAST_DELTA_AT, _MAGIC = 61, 16, 23, 2
_UNPACK: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}


class Salvage(NamedTuple):
    """The records out of a batch, and the offset behind it."""

    records: list[ConsumerRecord]
    after: int


def salvage(place: TopicPartition, fetched: bytes, position: int, end: int, error: Exception) -> Salvage:
    """Return the records from `position` on of the batch that raised `error`. `end` is the partition's end offset."""
    batches = list(_batches(fetched))
    for number, (base, body) in enumerate(batches):
        intact = _intact(body)
        if intact is not None and intact.next_offset <= position:
            continue
        if intact is not None:
            after = max(min(intact.next_offset, end), position + 1)
            return Salvage([r for r in _records(place, intact, body) if position <= r.offset < after], after)
        first = base if position < base < end else position
        following = batches[number + 1][0] if number + 1 < len(batches) else _claimed_end(base, body)
        return Salvage([_set_aside(place, first, body, error)], following if first < following <= end else first + 1)
    return Salvage([_set_aside(place, position, fetched, error)], position + 1)


def _batches(fetched: bytes) -> Iterator[tuple[int, bytes]]:
    begin = 0
    while begin + _BEFORE_BATCH.size <= len(fetched):
        base, length = _BEFORE_BATCH.unpack_from(fetched, begin)
        after = begin + _BEFORE_BATCH.size + length
        if length <= 0 or after > len(fetched):  # the last one is often cut: it is fetched again
            return
        yield base, fetched[begin:after]
        begin = after


def _intact(body: bytes) -> DefaultRecordBatch | None:
    if len(body) < _HEADER_BYTES or body[_MAGIC_AT] != _MAGIC:
        return None
    batch = DefaultRecordBatch(body)
    return batch if batch.validate_crc() else None


def _claimed_end(base: int, body: bytes) -> int:
    # Nothing behind the checksum is certain in a damaged batch; the caller believes this as far as the log reaches.
    if len(body) < _HEADER_BYTES:
        return base
    return base + int(struct.unpack_from(">i", body, _LAST_DELTA_AT)[0]) + 1


def _records(place: TopicPartition, batch: DefaultRecordBatch, body: bytes) -> Iterator[ConsumerRecord]:
    offset = batch.base_offset
    try:
        packed = _UNPACK[batch.compression_type](body[_HEADER_BYTES:])
    except Exception as error:  # each codec has errors of its own
        yield _set_aside(place, offset, body, error)
        return
    begin = 0
    while begin < len(packed) and offset < batch.next_offset:
        try:
            length, start = decode_varint(bytearray(packed[begin : begin + 10]))
            start, after = begin + start, begin + start + length
            if length <= 0 or after > len(packed):
                raise ValueError(f"a record of {length} bytes where {len(packed) - start} are left")  # noqa: TRY301
        except (ValueError, IndexError) as error:
            yield _set_aside(place, offset, packed[begin:], error)
            return
        try:
            record = _record(place, batch, bytearray(packed[start:after]))
            if not offset <= record.offset < batch.next_offset:
                raise ValueError(f"offset {record.offset} in place of {offset}")  # noqa: TRY301
        except (ValueError, IndexError) as error:
            record = _set_aside(place, offset, packed[start:after], error)
        yield record
        offset, begin = record.offset + 1, after


def _record(place: TopicPartition, batch: DefaultRecordBatch, packed: bytearray) -> ConsumerRecord:
    since, at = decode_varint(packed, 1)
    delta, at = decode_varint(packed, at)
    key, at = _bytes(packed, at)
    value, at = _bytes(packed, at)
    count, at = decode_varint(packed, at)
    if count < 0:
        raise ValueError(f"{count} headers")
    headers = []
    for _ in range(count):
        name, at = _bytes(packed, at)
        content, at = _bytes(packed, at)
        headers.append(((name or b"").decode(errors="backslashreplace"), content))
    if at != len(packed):
        raise ValueError(f"{len(packed) - at} bytes are left behind the last header")
    time = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + since
    return _consumer_record(place, batch.base_offset + delta, key, value, tuple(headers), time, batch.timestamp_type)


def _bytes(packed: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(packed, at)
    if length < 0:
        return None, at
    if at + length > len(packed):
        raise ValueError(f"{length} bytes where {len(packed) - at} are left")
    return bytes(packed[at : at + length]), at + length


def _set_aside(place: TopicPartition, offset: int, body: bytes, error: Exception) -> ConsumerRecord:
    reason = f"{type(error).__name__}: {error}"[:500].encode(errors="backslashreplace")
    return _consumer_record(place, offset, None, body, ((UNREADABLE, reason),), 0, 0)


def _consumer_record(
    place: TopicPartition,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: tuple[tuple[str, bytes | None], ...],
    time: int,
    time_type: int,
) -> ConsumerRecord:
    sizes = (-1 if part is None else len(part) for part in (key, value))
    return ConsumerRecord(place.topic, place.partition, offset, time, time_type, key, value, None, *sizes, headers)
