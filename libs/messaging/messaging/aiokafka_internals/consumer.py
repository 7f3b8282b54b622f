"""Private names of aiokafka's consumer: what it fetched, its assignment and its group."""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult, OffsetResetStrategy, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.fetch import FetchRequest

__all__ = [
    "JOINING",
    "PartitionRecords",
    "assign_more",
    "batches_of",
    "call_on_metadata",
    "group_trouble",
    "read_fetched_with",
]

JOINING = "still joining"

ReadPartition = Callable[[TopicPartition, PartitionRecords, bytes | None], Iterator[Any]]
"""Yields the records of one fetch of a partition, given the bytes as they came, if they are known. Must not raise."""


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
            self.keep(place, result, self._client.take(place))
        else:
            super().__setitem__(place, result)

    def keep(self, place: TopicPartition, result: FetchResult, fetched: bytes | None) -> None:
        """Hold what was fetched, with its bytes as they came."""
        records = result._partition_records
        records._records_iterator = self._read(place, records, fetched)
        super().__setitem__(place, result)
