"""A log in memory: records that every instance reads from the beginning, and commands that are answered by a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from contracts.runs.commands import Asked
from contracts.runs.outcomes import Answer, Outcome, answer_of
from contracts.topics import EVENTS, PARTIALS
from notifier.ports import OnRecords


@dataclass(slots=True)
class MemoryRecord:
    """A record as Kafka holds it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class MemoryTopics:
    """The topics, shared by the instances that read them. `answer` returns the outcome of a command; None is a late one."""

    answer: Callable[[Asked], Outcome | None] = lambda _: None
    _events: list[list[MemoryRecord]] = field(default_factory=lambda: [[] for _ in range(EVENTS.partitions)])
    _readers: list[MemoryLog] = field(default_factory=list)

    async def publish(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.events`, each a key and a value, and hand them to every instance."""
        batch = [self._append(key, value) for key, value in records]
        for reader in self._readers:
            await reader.on_events(batch)

    async def publish_partial_output(self, *values: bytes) -> None:
        """Hand records of `run.partials` to every instance."""
        batch = [MemoryRecord(PARTIALS.name, 0, offset, None, value) for offset, value in enumerate(values)]
        for reader in self._readers:
            await reader.on_partial_output(batch)

    def events(self) -> list[MemoryRecord]:
        """Return the records of `run.events`, partition by partition."""
        return [record for partition in self._events for record in partition]

    def ends(self) -> dict[int, int]:
        """Return the next offset of each partition."""
        return {partition: len(records) for partition, records in enumerate(self._events)}

    def add(self, reader: MemoryLog) -> None:
        """Hand records to one more instance."""
        self._readers.append(reader)

    def remove(self, reader: MemoryLog) -> None:
        """Hand no more records to an instance."""
        if reader in self._readers:
            self._readers.remove(reader)

    def _append(self, key: bytes, value: bytes) -> MemoryRecord:
        partition = crc32(key) % len(self._events)
        record = MemoryRecord(EVENTS.name, partition, len(self._events[partition]), key, value)
        self._events[partition].append(record)
        return record


class MemoryLog:
    """One instance's connection to the topics."""

    on_events: OnRecords
    on_partial_output: OnRecords

    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics

    async def connect(self) -> str:
        """Return the identity of the log."""
        return "memory"

    async def read(self, on_events: OnRecords, on_partial_output: OnRecords) -> Mapping[int, range]:
        """Hand over the records so far and from now on; return their offsets, by partition."""
        self.on_events, self.on_partial_output = on_events, on_partial_output
        self._topics.add(self)
        await on_events(self._topics.events())
        return {partition: range(end) for partition, end in self._topics.ends().items()}

    async def ask(self, command: Asked) -> Answer | None:
        """Return the outcome of a command, or None when that is late."""
        outcome = self._topics.answer(command)
        return None if outcome is None else answer_of(outcome)

    async def check(self) -> None:
        """Return: memory can always be read."""

    async def close(self) -> None:
        """Disconnect."""
        self._topics.remove(self)
