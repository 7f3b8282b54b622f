"""Kafka for the four bare processes, and their main function: plain aiokafka, as few requests as possible, no guarantees."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from bench.bare.steps import IS_JSON, Headers
from contracts.topics import COMMANDS, EVENTS, MAX_RECORD_BYTES, OUTCOMES, PARTITIONS, WORK, Topic


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a process until it fails. An unawaited error ends it too, so that the bench does not wait for it."""
    # As the services do: objects made so far are permanent.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    uvloop.run(_guarded(main()))


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.get_running_loop().set_exception_handler(_end)
    await work


def _end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    loop.default_exception_handler(context)
    os._exit(1)


def partition_of(run_id: str) -> int:
    """Return the partition of a run, in every topic alike."""
    return int(run_id[-1], 16) % PARTITIONS


async def batches(kafka: str, topic: Topic, partitions: Sequence[int] = range(PARTITIONS)) -> AsyncIterator[list[Any]]:
    """Read a topic from its beginning without end; a batch has all records received so far."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=500
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic.name, number) for number in partitions])
    while True:
        found: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(timeout_ms=60_000, max_records=500)
        if found:
            yield [record for records in found.values() for record in records]


class Sender:
    """Sends records in order on each partition, unawaited; a failed send ends the process."""

    def __init__(self, kafka: str) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka,
            enable_idempotence=True,
            max_batch_size=128 * 1024,
            max_request_size=MAX_RECORD_BYTES,
        )
        self._partitions: dict[tuple[str, int], _PartitionSender] = {}

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()
        for topic in (COMMANDS, EVENTS, WORK, OUTCOMES):
            await self._producer.partitions_for(topic.name)  # partition senders do not look up their leader

    def send(self, topic: Topic, partition: int, key: bytes, value: bytes, headers: Headers = IS_JSON) -> None:
        """Send a record."""
        place = (topic.name, partition)
        if place not in self._partitions:
            self._partitions[place] = _PartitionSender(self._producer, TopicPartition(*place))
        self._partitions[place].add((key, value, headers))


class _PartitionSender:
    """One partition: records that come while a batch is in flight go with the next one."""

    def __init__(self, producer: AIOKafkaProducer, place: TopicPartition) -> None:
        self._producer = producer
        self._place = place
        self._waiting: list[tuple[bytes, bytes, Headers]] = []
        self._busy = False

    def add(self, record: tuple[bytes, bytes, Headers]) -> None:
        self._waiting.append(record)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        batch, taken = self._producer.create_batch(), 0
        for key, value, headers in self._waiting:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                break
            taken += 1
        del self._waiting[:taken]
        # Not by the library's `send_batch`, which costs a task and four futures.
        self._producer._message_accumulator._append_batch(batch, self._place).future.add_done_callback(self._on_sent)

    def _on_sent(self, sent: asyncio.Future[Any]) -> None:
        sent.result()
        self._busy = bool(self._waiting)
        if self._busy:
            self._send()
