"""Writing to topics: in order per partition, acknowledged by all replicas, in as few requests as the records allow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2

from contracts.topics import MAX_RECORD_BYTES
from messaging.partition_sender import Lane
from messaging.records import Outgoing

ANSWER_SECONDS = 15.0
"""How long a broker's answer is awaited. Then the connection is made anew and the request sent again, to whoever leads now."""

STOP_SECONDS = 2.0
"""How long a stop waits for what is on its way; who handed it over was not told that it has arrived."""

_Place = tuple[str, int]


class RecordTooLarge(KafkaError):
    """A record is larger than topics take."""


class Producer:
    """An idempotent producer: records of one partition keep their order, and a retried request writes once."""

    def __init__(self, bootstrap: str, client_id: str, give_up_seconds: float = 40) -> None:
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "enable_idempotence": True,
            "max_request_size": MAX_RECORD_BYTES,
            "max_batch_size": 128 * 1024,
            "request_timeout_ms": int(give_up_seconds * 1000),
        }
        self._answer_ms = int(min(give_up_seconds, ANSWER_SECONDS) * 1000)
        self._lanes: dict[_Place, Lane] = {}
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises KafkaConnectionError when no broker answers."""
        self._producer = AIOKafkaProducer(**self._settings)
        # The library has one setting for both: a broker that hangs would keep its records from the next one until they expire.
        self._producer.client._request_timeout_ms = self._answer_ms  # noqa: SLF001
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Send what was handed over, if Kafka takes it within seconds, and disconnect."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(lane.settle() for lane in self._lanes.values()))
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, record: Outgoing) -> None:
        """Send one record and wait until all replicas have it."""
        for sent in await self.send_all([record]):
            await sent

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[None]]:
        """Hand records over in order; the futures end when all replicas have them. Raises RecordTooLarge before any is sent."""
        partitions: dict[str, list[int]] = {}
        grouped: dict[_Place, list[Outgoing]] = {}
        for record in records:
            if _least_bytes(record) > MAX_RECORD_BYTES:
                raise RecordTooLarge(
                    f"a record for {record.topic} of {_least_bytes(record)} bytes; the most is {MAX_RECORD_BYTES}"
                )
            if record.topic not in partitions:
                partitions[record.topic] = await self.partitions(record.topic)
            grouped.setdefault((record.topic, _partition(record, partitions[record.topic])), []).append(record)
        return [self._lane(place).add(group) for place, group in grouped.items()]

    def _lane(self, place: _Place) -> Lane:
        lane = self._lanes.get(place)
        if lane is None:
            assert self._producer is not None, "start() comes first"
            lane = self._lanes[place] = Lane(self._producer, place)
        return lane

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; on the embedded broker, asking creates it."""
        assert self._producer is not None, "start() comes first"
        return sorted(await self._producer.partitions_for(topic))


_FRAME_BYTES = 128
"""A batch's own header and a record's lengths, at most, beside the bytes of its parts."""


def _least_bytes(record: Outgoing) -> int:
    held = sum(len(name) * 4 + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + held + _FRAME_BYTES


def _partition(record: Outgoing, partitions: Sequence[int]) -> int:
    if record.partition is not None:
        if record.partition not in partitions:
            raise UnknownTopicOrPartitionError(f"{record.topic}[{record.partition}]")
        return record.partition
    if record.key is None:
        return random.choice(partitions)  # noqa: S311 - a choice, not a secret
    return partitions[_hash(record.key) % len(partitions)]


@lru_cache(maxsize=4096)
def _hash(key: bytes) -> int:
    # All records of a run have its key, and the library's hash is written in Python.
    return int(murmur2(key)) & 0x7FFFFFFF
