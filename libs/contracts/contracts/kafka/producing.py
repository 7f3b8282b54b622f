"""Writing to topics: in order per partition, acknowledged by all replicas, in as few requests as the records allow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from pydantic import ValidationError

from contracts.base import explain
from contracts.kafka.consuming import RawRecord
from contracts.topics import MAX_RECORD_BYTES

_JSON = [("content-type", b"application/json")]
_partition_of_key = DefaultPartitioner()


class RecordTooLarge(KafkaError):
    """A record is larger than topics take."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send. Without `partition` its key chooses one, as every Kafka client would."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = field(default_factory=lambda: _JSON)
    partition: int | None = None


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
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises KafkaConnectionError when no broker answers."""
        self._producer = AIOKafkaProducer(**self._settings)
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, record: Outgoing) -> None:
        """Send one record and wait until all replicas have it."""
        for sent in await self.send_all([record]):
            await sent

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Hand records over in order; the futures end when all replicas have them. Raises RecordTooLarge before any is sent.

        One request a partition, however many records: writes to the socket were a third of the orchestrator's time.
        """
        assert self._producer is not None, "start() comes first"
        grouped: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            grouped.setdefault((record.topic, await self._partition(record)), []).append(record)
        # All is packed before anything is sent: a record that brokers refuse would leave a gap in the numbering of its
        # partition, and whatever is sent behind a gap is refused too, for ever.
        packed = {place: self._pack(group) for place, group in grouped.items()}
        return [
            await self._producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batches in packed.items()
            for batch in batches
        ]

    def _pack(self, records: Iterable[Outgoing]) -> list[Any]:
        assert self._producer is not None
        batches: list[Any] = []
        for record in records:
            entry = {"key": record.key, "value": record.value, "timestamp": None, "headers": record.headers}
            if batches and batches[-1].append(**entry) is not None:
                continue
            batches.append(self._producer.create_batch())
            batches[-1].append(**entry)
            if batches[-1].size() > MAX_RECORD_BYTES:
                raise RecordTooLarge(
                    f"a record for {record.topic} of {batches[-1].size()} bytes; the most is {MAX_RECORD_BYTES}"
                )
        return batches

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; on the embedded broker, asking creates it."""
        assert self._producer is not None, "start() comes first"
        return sorted(await self._producer.partitions_for(topic))

    async def _partition(self, record: Outgoing) -> int:
        if record.partition is not None:
            return record.partition
        partitions = await self.partitions(record.topic)
        return int(_partition_of_key(record.key, partitions, partitions))


DEAD_BYTES = MAX_RECORD_BYTES - 32 * 1024
"""The most of a malformed record that is kept, so that the reason fits beside it."""


def dead_letter(record: RawRecord, error: Exception) -> Outgoing:
    """Wrap a malformed record for `<topic>.dead`: its bytes as they came, the reason and its place in headers.

    One that is too large with these keeps the beginning of its value alone, and says how much it was.
    """
    reason = explain(error) if isinstance(error, ValidationError) else str(error)
    key, value, headers = record.key, record.value, list(record.headers)
    held = sum(len(part or b"") for part in (key, value, *(value for _, value in headers)))
    if held + sum(len(name) * 4 for name, _ in headers) > DEAD_BYTES:
        key, value, headers = None, (value or b"")[:DEAD_BYTES], [("cut-from-bytes", str(held).encode())]
    return Outgoing(
        topic=f"{record.topic}.dead",
        key=key,
        value=value,
        headers=[
            *headers,
            ("error", reason[:2000].encode(errors="replace")),
            ("error-type", type(error).__name__.encode()),
            ("source-topic", record.topic.encode()),
            ("source-partition", str(record.partition).encode()),
            ("source-offset", str(record.offset).encode()),
        ],
        partition=0,
    )
