"""Records on their way to one partition: in order, one batch at a time, taking along whatever is handed over meanwhile."""

# ruff: noqa: SLF001 - the library's own way in costs a task and four futures a batch; the suite shows whether this still fits

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder

from messaging.records import Outgoing

_Handed = tuple[Sequence[Outgoing], asyncio.Future[None]]


class Lane:
    """One partition: what is handed over while a batch is on its way goes with the next one, however many asked.

    The library keeps one batch of a partition waiting and one request a broker in flight: whoever brought a batch of
    their own would stand in line for the answers to all before them, and a hang would use up their time in waiting.

    One batch is on its way at a time, so that the library has nothing to wait for when it takes the next: it is given
    over by a call, without the task and the futures around it that its own `send_batch` costs.
    """

    def __init__(self, producer: AIOKafkaProducer, place: tuple[str, int]) -> None:
        self._producer = producer
        self._place = TopicPartition(*place)
        self._waiting: list[_Handed] = []
        self._going: list[_Handed] = []
        self._batches: Iterator[BatchBuilder] = iter(())
        self._settled: asyncio.Event | None = None

    def add(self, records: Sequence[Outgoing]) -> asyncio.Future[None]:
        """Send `records` behind those that wait; the future ends when all replicas have them."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()
        if not self._waiting and not self._going:
            loop.call_soon(self._begin)  # not at once: others may hand over more before anything else happens
        self._waiting.append((records, sent))
        return sent

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        while self._waiting or self._going:
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()

    def _begin(self) -> None:
        # Who has given up before anything was sent is told so, and means it.
        self._going = [handed for handed in self._waiting if not handed[1].cancelled()]
        self._waiting = []
        self._batches = self._packed([record for records, _ in self._going for record in records])
        self._carry()

    def _carry(self) -> None:
        try:
            batch = next(self._batches, None)
            if batch is not None:
                return self._hand_over(batch)
        except Exception as error:
            return self._end(error)
        return self._end(None)

    def _hand_over(self, batch: BatchBuilder) -> None:
        accumulator = self._producer._message_accumulator
        if accumulator._exception is not None:
            raise accumulator._exception
        if accumulator._closed:
            raise ProducerClosed
        accumulator._append_batch(batch, self._place).future.add_done_callback(self._arrived)

    def _arrived(self, batch: asyncio.Future[Any]) -> None:
        if batch.cancelled():
            self._end(KafkaError("stopped before it was sent"))
        elif (error := batch.exception()) is not None:
            self._end(error)
        else:
            self._carry()

    def _end(self, error: BaseException | None) -> None:
        going, self._going, self._batches = self._going, [], iter(())
        _tell([sent for _, sent in going], error)
        if self._waiting:
            self._begin()
        elif self._settled is not None:
            self._settled.set()
            self._settled = None

    def _packed(self, records: Iterable[Outgoing]) -> Iterator[BatchBuilder]:
        # Writes to the socket were a third of the orchestrator's time, and a batch a record most of the rest.
        batch = None
        for record in records:
            if batch is not None and _append(batch, record):
                continue
            if batch is not None:
                yield batch
            batch = self._producer.create_batch()
            _append(batch, record)
        if batch is not None:
            yield batch


def _append(batch: BatchBuilder, record: Outgoing) -> bool:
    appended = batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
    return appended is not None


def _tell(senders: Iterable[asyncio.Future[None]], error: BaseException | None) -> None:
    for sent in senders:
        if sent.done():
            continue
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)
