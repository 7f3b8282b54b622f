"""Writing to topics: in order per partition, acknowledged by all replicas, in as few requests as the records allow."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer

from contracts.slots import SlotMap
from contracts.topics import MAX_RECORD_BYTES, SLOT_MAPS
from messaging.aiokafka_internals.producer import limit_requests
from messaging.aiokafka_internals.sender import SteadySender
from messaging.aiokafka_internals.shutdown import stop_producer
from messaging.client.partition_sender import PartitionSender
from messaging.client.slots import METADATA_MS, partition_of, read_slot_maps
from messaging.errors import BrokerUnavailable, RecordTooLarge, TopicsMissing
from messaging.records import Outgoing

ANSWER_SECONDS = 15.0
"""How long a broker's answer is awaited. Then the connection is made anew and the request sent again, to the present leader."""

SETTLE_SECONDS, STOP_SECONDS = 1.0, 0.5
"""How long a stop waits for records in flight, whose callers were not told that they have arrived, and for the rest of it."""

_Place = tuple[str, int]

_log = logging.getLogger(__name__)


class Producer:
    """An idempotent producer: records of one partition keep their order, and a retried request writes once.

    Without the `steady_path` all sending is the client library's.
    """

    def __init__(
        self, bootstrap: str, client_id: str, give_up_seconds: float = 40, *, steady_path: bool = True
    ) -> None:
        self._steady_path = steady_path
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "enable_idempotence": True,
            "max_request_size": MAX_RECORD_BYTES,
            "max_batch_size": 128 * 1024,
            "request_timeout_ms": int(give_up_seconds * 1000),
            "metadata_max_age_ms": METADATA_MS,
        }
        self._answer_ms = int(min(give_up_seconds, ANSWER_SECONDS) * 1000)
        self._senders: dict[_Place, PartitionSender] = {}
        self._producer: AIOKafkaProducer | None = None
        self._sender: SteadySender | None = None
        self._slots: dict[str, Sequence[int]] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaConnectionError when no broker answers."""
        self._producer = AIOKafkaProducer(**self._settings)
        self._sender = SteadySender(self._producer, is_steady=self._steady_path)
        limit_requests(self._producer, self._answer_ms)
        try:
            await self._producer.start()
            await self.read_slot_maps()
        except BaseException:
            await stop_producer(self._producer, STOP_SECONDS)
            raise

    async def stop(self) -> None:
        """Wait, for SETTLE_SECONDS at most, until Kafka has the records in flight; then disconnect, whether Kafka answers or not."""
        if self._producer is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await asyncio.gather(*(sender.settle() for sender in self._senders.values()))
        await stop_producer(self._producer, STOP_SECONDS)

    async def read_slot_maps(self) -> dict[str, SlotMap]:
        """Return the maps from slots to partitions that are kept with the log, by topic, and send by them. Raises KafkaError."""
        kept = await read_slot_maps(self._settings["bootstrap_servers"])
        self._slots |= {topic: slot_map.slots for topic, slot_map in kept.items()}
        return kept

    async def keep_slots(self, slot_map: SlotMap) -> None:
        """Keep a topic's map from slots to partitions with the log, for all that start later. Raises KafkaError."""
        await self.send(
            Outgoing(SLOT_MAPS.name, slot_map.topic.encode(), slot_map.model_dump_json().encode(), partition=0)
        )
        self._slots[slot_map.topic] = slot_map.slots

    async def send(self, record: Outgoing) -> None:
        """Send one record and wait until all replicas have it."""
        for sent in await self.send_all([record]):
            await sent

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[None]]:
        """Hand records over in order; the futures end when all replicas have them. Raises RecordTooLarge before any is sent.

        A record that names a partition which its topic does not have is dropped.
        """
        partitions: dict[str, list[int]] = {}
        grouped: dict[_Place, list[Outgoing]] = {}
        for record in records:
            if _size(record) > MAX_RECORD_BYTES:
                raise RecordTooLarge(
                    f"a record for {record.topic} of {_size(record)} bytes; the most is {MAX_RECORD_BYTES}"
                )
            if record.topic not in partitions:
                partitions[record.topic] = await self.partitions(record.topic)
            if record.partition is None and record.key is not None and record.topic not in self._slots:
                # Its map may have been made since the start. From now on its partitions stay, however many are added.
                await self.read_slot_maps()
                self._slots.setdefault(record.topic, partitions[record.topic])
            if record.partition is not None and record.partition not in partitions[record.topic]:
                partitions[record.topic] = await self._refreshed_partitions(record.topic)
                if record.partition not in partitions[record.topic]:
                    # An answer goes where its asker said that it waits; no asker can wait there.
                    _log.warning("a record for %s[%d] is dropped: no such partition", record.topic, record.partition)
                    continue
            grouped.setdefault((record.topic, self._partition(record, partitions[record.topic])), []).append(record)
        return [self._sender_of(place).add(group) for place, group in grouped.items()]

    def _partition(self, record: Outgoing, partitions: Sequence[int]) -> int:
        if record.partition is not None:
            return record.partition
        if record.key is None:
            return random.choice(partitions)  # noqa: S311 - a choice, not a secret
        return partition_of(record.key, self._slots[record.topic])

    def _sender_of(self, place: _Place) -> PartitionSender:
        sender = self._senders.get(place)
        if sender is None:
            assert self._producer is not None, "start() comes first"
            assert self._sender is not None, "start() comes first"
            sender = self._senders[place] = PartitionSender(self._producer, self._sender, place)
        return sender

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; on the embedded broker, asking creates it."""
        assert self._producer is not None, "start() comes first"
        return sorted(await self._producer.partitions_for(topic))

    async def require(self, topics: Iterable[str]) -> None:
        """Return if Kafka says that it has these topics, without which nothing can be read or written. Raises TopicsMissing, BrokerUnavailable.

        A broker that creates topics by itself creates them by being asked.
        """
        if self._producer is None:
            raise BrokerUnavailable("not connected yet")
        client, names = self._producer.client, sorted(set(topics))
        for name in names:
            client.add_topic(name)
        missing = names
        for _ in range(2):  # the first answer may be to a question that was asked before the names were added
            if not await client.force_metadata_update():
                raise BrokerUnavailable("Kafka does not answer")
            missing = [name for name in names if not client.cluster.partitions_for_topic(name)]
            if not missing:
                return
        raise TopicsMissing(f"Kafka has no topic {', '.join(missing)}: `make topics` creates what is missing")

    async def _refreshed_partitions(self, topic: str) -> list[int]:
        assert self._producer is not None, "start() comes first"
        await self._producer.client.force_metadata_update()
        return await self.partitions(topic)


_FRAME_BYTES = 128
"""A batch's own header and a record's lengths, at most, beside the bytes of its parts."""


def _size(record: Outgoing) -> int:
    held = sum(len(name) * 4 + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + held + _FRAME_BYTES
