"""Writing to topics: in order per partition, acknowledged by all replicas, in as few requests as the records allow."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from pydantic import ValidationError

from contracts.base import explain
from contracts.kafka.consuming import RawRecord
from contracts.topics import MAX_RECORD_BYTES

ANSWER_SECONDS = 15.0
"""How long a broker's answer is awaited. Then the connection is made anew and the request sent again, to whoever leads now."""

STOP_SECONDS = 2.0
"""How long a stop waits for what is on its way; who handed it over was not told that it has arrived."""

_Place = tuple[str, int]

_JSON = [("content-type", b"application/json")]


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
        self._answer_ms = int(min(give_up_seconds, ANSWER_SECONDS) * 1000)
        self._lanes: dict[_Place, _Lane] = {}
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

    def _lane(self, place: _Place) -> _Lane:
        lane = self._lanes.get(place)
        if lane is None:
            assert self._producer is not None, "start() comes first"
            lane = self._lanes[place] = _Lane(self._producer, place)
        return lane

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; on the embedded broker, asking creates it."""
        assert self._producer is not None, "start() comes first"
        return sorted(await self._producer.partitions_for(topic))


class _Lane:
    """One partition: what is handed over while a batch is on its way goes with the next one, however many asked.

    The library keeps one batch of a partition waiting and one request a broker in flight: whoever brought a batch of
    their own would stand in line for the answers to all before them, and a hang would use up their time in waiting.
    """

    def __init__(self, producer: AIOKafkaProducer, place: _Place) -> None:
        self._producer = producer
        self._topic, self._partition = place
        self._waiting: deque[tuple[Sequence[Outgoing], asyncio.Future[None]]] = deque()
        self._work: asyncio.Task[None] | None = None

    def add(self, records: Sequence[Outgoing]) -> asyncio.Future[None]:
        """Send `records` behind those that wait; the future ends when all replicas have them."""
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, sent))
        if self._work is None:
            self._work = asyncio.create_task(self._send())
        return sent

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        while self._work is not None:
            await asyncio.wait([self._work])

    async def _send(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, deque()
                # Who has given up before anything was sent is told so, and means it.
                going = [(records, sent) for records, sent in waiting if not sent.cancelled()]
                error: BaseException | None = None
                try:
                    await self._carry(record for records, _ in going for record in records)
                except BaseException as failed:
                    error = failed
                _tell([sent for _, sent in going], error)
                if isinstance(error, asyncio.CancelledError):
                    raise error
        finally:
            self._work = None

    async def _carry(self, records: Iterable[Outgoing]) -> None:
        for batch in self._packed(records):
            await (await self._producer.send_batch(batch, self._topic, partition=self._partition))

    def _packed(self, records: Iterable[Outgoing]) -> Iterator[Any]:
        # Writes to the socket were a third of the orchestrator's time, and a batch a record most of the rest.
        batch = None
        for record in records:
            entry = {"key": record.key, "value": record.value, "timestamp": None, "headers": record.headers}
            if batch is not None and batch.append(**entry) is not None:
                continue
            if batch is not None:
                yield batch
            batch = self._producer.create_batch()
            batch.append(**entry)
        if batch is not None:
            yield batch


def _tell(senders: Iterable[asyncio.Future[None]], error: BaseException | None) -> None:
    for sent in senders:
        if sent.done():
            continue
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error if isinstance(error, Exception) else KafkaError("stopped before it was sent"))


_FRAME_BYTES = 128
"""A batch's own header and a record's lengths, at most, beside the bytes of its parts."""


def _least_bytes(record: Outgoing) -> int:
    held = sum(len(name) * 4 + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + held + _FRAME_BYTES


def _partition(record: Outgoing, partitions: Sequence[int]) -> int:
    if record.partition is not None:
        return record.partition
    if record.key is None:
        return random.choice(partitions)  # noqa: S311 - a choice, not a secret
    return partitions[_hash(record.key) % len(partitions)]


@lru_cache(maxsize=4096)
def _hash(key: bytes) -> int:
    # All records of a run have its key, and the library's hash is written in Python.
    return int(murmur2(key)) & 0x7FFFFFFF


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
