"""A consumer that never raises for what a partition holds, so that one bad record takes nothing from its neighbours.

In the library, a record that cannot be read raises out of `getmany`: the records that this call had drained from other
partitions are lost, and the next call meets the same record. Here the iteration over a partition ends before such a batch.
It is fetched once more, in case it was damaged on its way, and then salvaged. Sound batches cost no more than before.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException
from prometheus_client import Counter

from messaging.aiokafka_internals.consumer import (
    PartitionRecords,
    assign_more,
    batches_of,
    call_on_metadata,
    read_fetched_with,
)
from messaging.aiokafka_internals.fetcher import SteadyFetcher, next_records, wake_readers
from messaging.aiokafka_internals.shutdown import stop_consumer
from messaging.client.record_salvage import salvage

POLL_MS = 1_000
"""How long a poll waits for records."""

ALL_PARTITIONS = -1
"""In place of a partition's number: all partitions that the topic has, those that are added later included."""

ANY_PARTITION = -2
"""In place of a partition's number: one of the partitions that the topic has when the consumer starts."""

_UNREADABLE = Counter(
    "sayso_unreadable_batches_total",
    "Batches of records that the client library could not read and that were salvaged",
    ["topic", "partition"],
)

_log = logging.getLogger(__name__)


class ResilientConsumer(AIOKafkaConsumer):
    """Hands on every record that can be read, and in place of each that cannot, one that says so."""

    _asked: TopicPartition | None = None
    _metadata_is_new = False

    def __init__(self, *topics: str, is_steady: bool = False, **options: Any) -> None:
        super().__init__(*topics, **options)
        self._is_steady = is_steady
        self._damaged_at: dict[TopicPartition, int] = {}

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read these partitions. ALL_PARTITIONS and ANY_PARTITION alone stand for partitions that are known after `start`."""
        if partitions[0].partition in (ALL_PARTITIONS, ANY_PARTITION):
            self._asked = partitions[0]
            partitions = [
                TopicPartition(self._asked.topic, 0)
            ]  # every topic has this one: the metadata is fetched for it
        super().assign(partitions)

    async def start(self) -> None:
        """Connect, and join the group if there is one."""
        await super().start()
        read_fetched_with(self, self._read)
        if self._is_steady:
            SteadyFetcher.take_over(self)
        if self._asked is not None:  # nothing was handed over yet: a new assignment begins anew
            super().assign(self._found(self._asked))
            if self._asked.partition == ALL_PARTITIONS:
                call_on_metadata(self, self._on_metadata)

    async def stop(self) -> None:
        """Leave the group and disconnect. Nothing stays at work, also where Kafka does not answer or the stop is cut short."""
        await stop_consumer(self)

    async def take(self, most: int) -> list[Any]:
        """Return up to `most` records that have arrived, or wait for a while; then there may be none.

        Raises ConsumerStoppedError, and KafkaError of the group or a partition.
        """
        if self._metadata_is_new:
            self._follow_growth()
        if self._is_steady:
            return await next_records(self, most)
        found = await self.getmany(timeout_ms=POLL_MS, max_records=most)
        return [record for records in found.values() for record in records]

    def _found(self, asked: TopicPartition) -> list[TopicPartition]:
        numbers = sorted(self.partitions_for_topic(asked.topic) or {0})
        if asked.partition == ANY_PARTITION:
            numbers = [random.choice(numbers)]  # noqa: S311 - a choice, not a secret
        return [TopicPartition(asked.topic, number) for number in numbers]

    def _on_metadata(self) -> None:
        self._metadata_is_new = True
        wake_readers(self)

    def _follow_growth(self) -> None:
        # Here and not when the metadata come: nothing is being read now.
        self._metadata_is_new = False
        assert self._asked is not None, "only a reader of all partitions follows"
        added = [place for place in self._found(self._asked) if place not in self.assignment()]
        if added:
            _log.warning(
                "%s has more partitions, read from their beginning: %s",
                *(self._asked.topic, ", ".join(str(place.partition) for place in added)),
            )
            assign_more(self, added)

    def _read(self, place: TopicPartition, records: PartitionRecords, fetched: bytes | None) -> Iterator[Any]:
        try:
            yield from _read(place, records)
        except Exception as error:  # whatever decoding raises
            position = records.next_fetch_offset
            if fetched is None or self._damaged_at.get(place) != position:
                self._damaged_at[place] = position
                return
            end = max(self.highwater(place) or 0, position + 1)
            found = salvage(place, fetched, position, end, error)
            _UNREADABLE.labels(place.topic, str(place.partition)).inc()
            _log.error(
                "a batch could not be read as it is, and was salvaged: %s[%d], offsets %d to %d: %s: %s",
                *(place.topic, place.partition, position, found.after - 1, type(error).__name__, error),
            )
            for record in found.records:
                records.next_fetch_offset = record.offset + 1
                yield record
            records.next_fetch_offset = found.after


class Record(NamedTuple):
    """One record as its readers need it. The library's own class costs as much again as all else about a record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def _read(place: TopicPartition, records: PartitionRecords) -> Iterator[Record]:
    topic, partition = place
    batches = batches_of(records)
    while batches.has_next():
        batch = batches.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"wrong checksum in {topic}[{partition}]")
        if not batch.is_control_batch:
            for record in batch:
                offset = record.offset
                if offset < records.next_fetch_offset:  # a batch is fetched as a whole, from whatever offset
                    continue
                records.next_fetch_offset = offset + 1
                yield Record(topic, partition, offset, record.key, record.value, tuple(record.headers))
        # The last records of a batch may be gone by compaction: the batch says where the next one begins.
        records.next_fetch_offset = batch.next_offset
