"""Every name of aiokafka and FastStream that their documents do not promise. No other module of the product uses one.

`WRITTEN_FOR` are the versions that it was written for; `pyproject.toml` pins them. After an upgrade, tests/unit/messaging/test_aiokafka_internals.py
fails before all others and says which name moved.
"""

# ruff: noqa: SLF001 - this module is the one place for it

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult, OffsetResetStrategy, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import decode_varint_py as decode_varint
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from messaging.records import RawRecord

__all__ = [
    "WRITTEN_FOR",
    "BatchBuilder",
    "BatchSubscriber",
    "ConsumerBroker",
    "DefaultRecordBatch",
    "PartitionRecords",
    "assign_more",
    "batches_of",
    "call_on_metadata",
    "decode_varint",
    "enqueue_batch",
    "group_trouble",
    "limit_requests",
    "read_fetched_with",
    "take_batches_by_call",
]

WRITTEN_FOR = {"aiokafka": "0.14", "faststream": "0.7"}

JOINING = "still joining"

ReadPartition = Callable[[TopicPartition, PartitionRecords, bytes | None], Iterator[Any]]
"""Yields the records of one fetch of a partition, given the bytes as they came, if they are known. Must not raise."""

_log = logging.getLogger(__name__)


# ---- aiokafka's producer


def enqueue_batch(producer: AIOKafkaProducer, batch: BatchBuilder, place: TopicPartition) -> asyncio.Future[Any]:
    """Queue a batch for its partition; the future ends when all replicas have it. Raises KafkaError.

    The library's own `send_batch` does the same with a task and four futures around it.
    """
    accumulator = producer._message_accumulator
    if accumulator._exception is not None:
        raise accumulator._exception
    if accumulator._closed:
        raise ProducerClosed
    delivered: asyncio.Future[Any] = accumulator._append_batch(batch, place).future
    return delivered


def limit_requests(producer: AIOKafkaProducer, milliseconds: int) -> None:
    """Bound how long one request is awaited, apart from how long a record may wait for its delivery.

    The library has one setting for both: a broker that hangs would keep its records from the next leader until they expire.
    """
    producer.client._request_timeout_ms = milliseconds


# ---- aiokafka's consumer


def read_fetched_with(consumer: AIOKafkaConsumer, read: ReadPartition) -> None:
    """Let `read` iterate over whatever a started consumer fetches."""
    fetcher = consumer._fetcher
    fetcher._client = client = _RecordingClient(fetcher._client)
    buffers = _PartitionBuffers(client, read)
    for place, result in fetcher._records.items():
        buffers[place] = result
    fetcher._records = buffers


def call_on_metadata(consumer: AIOKafkaConsumer, call: Callable[[], None]) -> None:
    """Call `call` whenever a started consumer has learnt anew which partitions its topics have."""
    consumer._client.cluster.add_listener(lambda _: call())


def assign_more(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
    """Let a reader outside any group read these partitions too, from their beginning. The others go on where they are.

    Call it where no records are being taken. The library can only replace an assignment, and forgets all positions by it.
    """
    before = consumer._subscription.subscription.assignment
    AIOKafkaConsumer.assign(consumer, [*before.tps, *places])
    for place in before.tps:
        if before.state_value(place).has_valid_position:
            consumer.seek(place, before.state_value(place).position)
    now = consumer._subscription.subscription.assignment
    for place in places:
        now.state_value(place).await_reset(OffsetResetStrategy.EARLIEST)


def group_trouble(consumer: AIOKafkaConsumer) -> str | None:
    """Return why a group's reader gets no records from it, or None. One that has not begun to start has no trouble yet."""
    coordinator = consumer._coordinator
    if not isinstance(coordinator, GroupCoordinator):
        return None
    if coordinator._pending_exception is not None:
        return f"the group {coordinator.group_id} refuses this member: {coordinator._pending_exception}"
    if coordinator.coordinator_id is None:
        return f"the group {coordinator.group_id} has no coordinator that answers"
    return None if coordinator.generation >= 0 else f"{JOINING} the group {coordinator.group_id}"


def batches_of(records: PartitionRecords) -> Any:
    """Return the batches that were fetched of a partition, from the next one on."""
    return records._records


class _RecordingClient:
    """The fetcher's client; keeps the bytes of each fetch until they lie in the buffers as records."""

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


class _PartitionBuffers(OrderedDict[TopicPartition, Any]):
    """The fetcher's buffer of each partition, iterated over by `read`."""

    def __init__(self, client: _RecordingClient, read: ReadPartition) -> None:
        super().__init__()
        self._client = client
        self._read = read

    def __setitem__(self, place: TopicPartition, result: Any) -> None:
        if isinstance(result, FetchResult):
            records = result._partition_records
            records._records_iterator = self._read(place, records, self._client.take(place))
        super().__setitem__(place, result)


# ---- FastStream


class ConsumerBroker(KafkaBroker):
    """A FastStream broker whose subscribers read with consumers of `consumer_type`."""

    def __init__(self, consumer_type: Callable[..., AIOKafkaConsumer], bootstrap: list[str], **options: Any) -> None:
        super().__init__(bootstrap, **options)
        self._consumer_type = consumer_type

    async def _connect(self) -> Any:
        build = await super()._connect()
        assert isinstance(build, partial), "FastStream hands the consumer's settings over as a partial"
        self.config.broker_config.builder = partial(self._consumer_type, *build.args, **build.keywords)
        return self.config.broker_config.builder


async def _take_records(records: list[Any]) -> None:
    """Take a batch: what FastStream's document of a service shows in place of the handler."""
    raise AssertionError(f"{len(records)} records came past the handler")


def take_batches_by_call(
    subscriber: BatchSubscriber, handler: Callable[[Sequence[RawRecord]], Awaitable[None]]
) -> BatchSubscriber:
    """Let `subscriber` hand each batch to `handler` by a plain call. `docs/decisions/0015-faststream-declares.md` has the measurements."""
    subscriber(_take_records)

    async def consume_one(records: Sequence[RawRecord]) -> None:
        if not subscriber.running:
            return
        with subscriber.lock:  # a stop waits for it, for a while
            try:
                await handler(records)
            except Exception:
                _log.exception("a batch of %s could not be handled", records[0].topic)

    subscriber.consume_one = consume_one  # type: ignore[assignment, method-assign]
    return subscriber
