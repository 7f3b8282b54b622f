"""A consumer that never raises for what a partition holds, so that one bad record takes nothing from its neighbours.

In the library, a record that cannot be read raises out of `getmany`: what that call had drained from other partitions is
lost, and the next call meets the same record. Here the iteration over a partition ends before such a batch; it is
fetched once more, in case it was damaged on its way, and then salvaged. What can be read costs nothing more than before.
"""

# ruff: noqa: SLF001 - the library offers no place of its own for this; the suite shows whether these still fit

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest
from faststream.kafka import KafkaBroker
from prometheus_client import Counter

from messaging.record_salvage import salvage

PATIENCE_MS = 1_000
"""How long a poll waits for records."""

_UNREADABLE = Counter(
    "sayso_unreadable_batches_total",
    "Batches of records that the client library could not read and that were salvaged",
    ["topic", "partition"],
)

_log = logging.getLogger(__name__)


class LenientBroker(KafkaBroker):
    """A FastStream broker whose subscribers read with `LenientConsumer`."""

    async def _connect(self) -> Any:
        build = await super()._connect()
        assert isinstance(build, partial), "FastStream hands the consumer's settings over as a partial"
        self.config.broker_config.builder = partial(LenientConsumer, *build.args, **build.keywords)
        return self.config.broker_config.builder


class LenientConsumer(AIOKafkaConsumer):
    """Hands on every record that can be read, and in place of each that cannot, one that says so."""

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        """Return what has arrived, or wait for it. Nothing is returned only once in a while.

        FastStream sleeps after that, and what arrives meanwhile has to wait: on four hops that was 5 ms of a decision's way.
        """
        patience = max(timeout_ms, PATIENCE_MS)
        return await super().getmany(*partitions, timeout_ms=patience, max_records=max_records)

    async def start(self) -> None:
        """Connect, and join the group if there is one."""
        await super().start()
        fetcher = self._fetcher
        fetcher._client = client = _Keeping(fetcher._client)
        held = _Held(self, client)
        for place, result in fetcher._records.items():
            held[place] = result
        fetcher._records = held


class _Keeping:
    """The fetcher's client; keeps the bytes of what was fetched until the fetcher holds them as records."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._fetched: dict[TopicPartition, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        response = await self._client.send(node_id, request)
        if isinstance(request, FetchRequest):
            for topic, partitions in response.topics:
                for number, *_, fetched in partitions:
                    self._fetched[TopicPartition(topic, number)] = fetched
        return response

    def take(self, place: TopicPartition) -> bytes | None:
        return self._fetched.pop(place, None)


class _Held(OrderedDict[TopicPartition, Any]):
    """What the fetcher holds of each partition, made so that reading it never raises."""

    def __init__(self, consumer: AIOKafkaConsumer, client: _Keeping) -> None:
        super().__init__()
        self._consumer = consumer
        self._client = client
        self._met: dict[TopicPartition, int] = {}

    def __setitem__(self, place: TopicPartition, result: Any) -> None:
        if isinstance(result, FetchResult):
            records = result._partition_records
            records._records_iterator = self._readable(place, records, self._client.take(place))
        super().__setitem__(place, result)

    def _readable(self, place: TopicPartition, records: PartitionRecords, fetched: bytes | None) -> Iterator[Any]:
        try:
            yield from _read(place, records)
        except Exception as error:  # whatever decoding raises
            position = records.next_fetch_offset
            if fetched is None or self._met.get(place) != position:
                self._met[place] = position
                return
            end = max(self._consumer.highwater(place) or 0, position + 1)
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
    """One record, with no more than its readers look at: the library's own costs as much again as all else about it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def _read(place: TopicPartition, records: PartitionRecords) -> Iterator[Record]:
    topic, partition = place
    batches = records._records
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
