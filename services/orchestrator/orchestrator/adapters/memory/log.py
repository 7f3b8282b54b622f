"""Kafka in memory: topics that outlive their readers, and each orchestrator's connection to them. One member a group at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.slots import SlotMap
from contracts.topics import Topic
from messaging.client.slots import partition_of
from messaging.records import Outgoing
from orchestrator.ports import OnRecords, OnRevoked, SlotsDiffer, Subscription

MAX_BATCH = 500


@dataclass(eq=False)
class MemoryRecord:
    """One record as a reader gets it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class MemoryKafka:
    """Topics and committed offsets. They stay when an orchestrator ends."""

    def __init__(self, log_id: str = "memory", partitions: int = 4) -> None:
        self.log_id = log_id
        self.partitions = partitions
        self.committed: dict[tuple[str, int], int] = {}
        self.slot_maps: dict[str, SlotMap] = {}
        self._topics: defaultdict[str, list[list[MemoryRecord]]] = defaultdict(
            lambda: [[] for _ in range(self.partitions)]
        )
        self._arrived = asyncio.Event()

    def append(self, outgoing: Outgoing) -> None:
        """Append one record to the partition of its key's slot, or to the one that it names."""
        partition = outgoing.partition
        if partition is None:
            partition = partition_of(outgoing.key or b"", self._slots(outgoing.topic))
        records = self._topics[outgoing.topic][partition]
        records.append(
            MemoryRecord(outgoing.topic, partition, len(records), outgoing.key, outgoing.value, outgoing.headers)
        )
        self._arrived.set()

    def _slots(self, topic: str) -> Sequence[int]:
        kept = self.slot_maps.get(topic)
        return range(self.partitions) if kept is None else kept.slots

    def records(self, topic: str) -> list[MemoryRecord]:
        """Return all records of a topic, partition by partition."""
        return [record for partition in self._topics[topic] for record in partition]

    def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the offset behind the last record of each partition."""
        return {partition: len(self._topics[topic][partition]) for partition in partitions}

    def read(self, topic: str, positions: dict[int, int]) -> list[MemoryRecord]:
        """Return the next records of a topic and move `positions` behind them."""
        batch: list[MemoryRecord] = []
        for partition, records in enumerate(self._topics[topic]):
            begin = positions.get(partition, self.committed.get((topic, partition), 0))
            found = records[begin : begin + MAX_BATCH]
            positions[partition] = begin + len(found)
            batch += found
        return batch

    async def arrival(self) -> None:
        """Wait until a record is appended."""
        self._arrived.clear()
        await self._arrived.wait()


@dataclass
class MemoryLog:
    """One orchestrator's connection: the `Log` port."""

    kafka: MemoryKafka
    _readers: list[tuple[Topic, OnRecords]] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def connect(self) -> str:
        """Return the log's id."""
        return self.kafka.log_id

    def subscribe(self, topic: Topic, on_records: OnRecords, on_revoked: OnRevoked) -> Subscription:
        """Read the topic from `start` on, from the committed offsets."""
        del on_revoked  # no partition goes to another while this member lives
        self._readers.append((topic, on_records))
        return _MemorySubscription(self.kafka, topic)

    async def check(self) -> None:
        """Return: memory has every topic."""

    async def partitions(self, topic: Topic) -> Sequence[int]:
        """Return the topic's partitions."""
        del topic
        return range(self.kafka.partitions)

    async def slot_maps(self, topics: Iterable[Topic]) -> list[SlotMap]:
        """Return each topic's map: as it is kept with the log, or a new one."""
        kept, partitions = self.kafka.slot_maps, range(self.kafka.partitions)
        return [kept.get(topic.name) or SlotMap.dealt(topic.name, partitions) for topic in topics]

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps with the log. Raises SlotsDiffer."""
        for wanted in maps:
            if self.kafka.slot_maps.setdefault(wanted.topic, wanted) != wanted:
                raise SlotsDiffer(f"the map of slots of {wanted.topic} that the ledger keeps is another in the log")

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Append records; they have arrived at once."""
        for record in records:
            self.kafka.append(record)
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return [sent]

    async def start(self) -> None:
        """Read."""
        self._tasks = [asyncio.create_task(self._read(topic, on_records)) for topic, on_records in self._readers]

    async def stop_reading(self) -> None:
        """Stop reading, in the middle of a batch if need be."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def _read(self, topic: Topic, on_records: OnRecords) -> None:
        positions: dict[int, int] = {}
        while True:
            if batch := self.kafka.read(topic.name, positions):
                await on_records(batch)
            else:
                await self.kafka.arrival()


@dataclass
class _MemorySubscription:
    kafka: MemoryKafka
    topic: Topic

    async def commit(self, offsets: Mapping[int, int]) -> None:
        for partition, offset in offsets.items():
            self.kafka.committed[self.topic.name, partition] = offset

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return self.kafka.ends(self.topic.name, partitions)
