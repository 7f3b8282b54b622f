"""Record batches encoded by hand, as no client would write them, and a producer of such batches."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

from local_stack.wait import until

CODECS = {0: bytes, 1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}


class Given(NamedTuple):
    """A record to encode; the names of its headers are bytes."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[bytes, bytes | None]] = ()


def batch_of(records: Sequence[Given | bytes], base: int = 0, codec: int = 0) -> bytes:
    """Encode a batch with a valid checksum; a record given as bytes is put in as it is, its length before it."""
    bodies = [given if isinstance(given, bytes) else record_of(given, delta) for delta, given in enumerate(records)]
    packed = CODECS[codec](b"".join(_varint(len(body)) + body for body in bodies))
    return sealed(base, codec, len(records), packed)


def sealed(base: int, codec: int, count: int, packed: bytes) -> bytes:
    """Put the head of a batch, with a valid checksum, before its records."""
    checked = struct.pack(">hiqqqhii", codec, count - 1, 1_000, 1_000, -1, -1, -1, count) + packed
    return struct.pack(">qiibI", base, 9 + len(checked), -1, 2, calc_crc32c(checked)) + checked


def record_of(given: Given, delta: int) -> bytes:
    """Encode a record without its length."""
    parts = [b"\x00", _varint(0), _varint(delta), _bytes(given.key), _bytes(given.value), _varint(len(given.headers))]
    return b"".join([*parts, *(_bytes(name) + _bytes(value) for name, value in given.headers)])


def damaged(batch: bytes) -> bytes:
    """Return the batch with its last byte changed, so that its checksum fails."""
    return batch[:-1] + bytes([batch[-1] ^ 0xFF])


async def write_batch(bootstrap: str, topic: str, partition: int, batch: bytes) -> None:
    """Let the broker append a batch unchanged. Raises KafkaError when it refuses the batch."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        await until(lambda: _is_written(client, topic, partition, batch), 10, "the partition has a leader")
    finally:
        await client.close()


async def _is_written(client: AIOKafkaClient, topic: str, partition: int, batch: bytes) -> bool:
    await client.set_topics([topic])
    await client.force_metadata_update()
    leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    if leader in (None, -1):
        return False
    answer = await client.send(leader, ProduceRequest(None, -1, 10_000, [(topic, [(partition, batch)])]))
    ((_, ((_, code, *_),)),) = answer.topics
    if code and not for_code(code).invalid_metadata:
        raise for_code(code)(f"{topic}[{partition}]")
    return not code


def _bytes(part: bytes | None) -> bytes:
    return _varint(-1) if part is None else _varint(len(part)) + part


def _varint(value: int) -> bytes:
    written = bytearray()
    encode_varint(value, written.append)
    return bytes(written)
