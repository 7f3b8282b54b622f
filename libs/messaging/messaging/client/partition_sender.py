"""The sender of one partition: records in order, one batch in flight, with it all records that were handed over meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition

from messaging.aiokafka_internals.producer import BatchBuilder
from messaging.aiokafka_internals.sender import SteadySender
from messaging.records import Outgoing

_Request = tuple[Sequence[Outgoing], asyncio.Future[None]]


class PartitionSender:
    """Sends to one partition. Records handed over while a batch is in flight go with the next batch, from any caller.

    The library queues one batch of a partition and has one request in flight to each broker. Callers with a batch each
    would wait for the answers to all batches before theirs, and a broker that hangs would use up their time in the queue.
    """

    def __init__(self, producer: AIOKafkaProducer, sender: SteadySender, place: tuple[str, int]) -> None:
        self._producer = producer
        self._sender = sender
        self._place = TopicPartition(*place)
        self._queued: list[_Request] = []
        self._in_flight: list[_Request] = []
        self._batches: Iterator[BatchBuilder] = iter(())
        self._idle: asyncio.Event | None = None

    def add(self, records: Sequence[Outgoing]) -> asyncio.Future[None]:
        """Send `records` behind those that are queued; the future ends when all replicas have them."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()
        if not self._queued and not self._in_flight:
            loop.call_soon(self._begin)  # not at once: others may hand over more before anything else happens
        self._queued.append((records, sent))
        return sent

    async def settle(self) -> None:
        """Wait until nothing is queued or in flight."""
        while self._queued or self._in_flight:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()

    def _begin(self) -> None:
        # A caller that gave up before its records were sent does not want them sent.
        self._in_flight = [request for request in self._queued if not request[1].cancelled()]
        self._queued = []
        self._batches = self._batches_of([record for records, _ in self._in_flight for record in records])
        self._send_next()

    def _send_next(self) -> None:
        try:
            batch = next(self._batches, None)
            if batch is not None:
                self._sender.send(batch, self._place, self._on_delivered)
                return None
        except Exception as error:
            return self._end(error)
        return self._end(None)

    def _on_delivered(self, error: BaseException | None) -> None:
        if error is not None:
            self._end(error)
        else:
            self._send_next()

    def _end(self, error: BaseException | None) -> None:
        ended, self._in_flight, self._batches = self._in_flight, [], iter(())
        _resolve([sent for _, sent in ended], error)
        if self._queued:
            self._begin()
        elif self._idle is not None:
            self._idle.set()
            self._idle = None

    def _batches_of(self, records: Iterable[Outgoing]) -> Iterator[BatchBuilder]:
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


def _resolve(futures: Iterable[asyncio.Future[None]], error: BaseException | None) -> None:
    for sent in futures:
        if sent.done():
            continue
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)
