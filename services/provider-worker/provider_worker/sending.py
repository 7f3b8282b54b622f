"""Getting records to Kafka for sure: together with whatever else is due, and again until Kafka has them."""

from __future__ import annotations

import asyncio

import structlog

from contracts.kafka import KafkaError, Outgoing, Producer

MOST_TRIES = 20
"""With the producer's own patience these are many minutes; after them something is wrong that a fresh start may mend."""

_log = structlog.get_logger(__name__)


class Outbox:
    """Implements `ports.Post`. Records handed over in one turn of the event loop leave in one request a partition."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._due: list[tuple[Outgoing, asyncio.Future[None]]] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def send(self, record: Outgoing) -> None:
        """Return when all replicas have `record`. While Kafka is away, try again; raise KafkaError when that seems no use."""
        pause = 0.1
        for tries_left in reversed(range(MOST_TRIES)):
            try:
                return await self.try_to_send(record)
            except KafkaError as error:
                if not tries_left:
                    raise
                _log.warning("not sent yet", topic=record.topic, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5)
        return None

    async def try_to_send(self, record: Outgoing) -> None:
        """Return when all replicas have `record`. Raises KafkaError."""
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._due.append((record, arrived))
        if len(self._due) == 1:
            flush = asyncio.create_task(self._flush())
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
        await arrived

    async def _flush(self) -> None:
        due, self._due = self._due, []
        try:
            sends = await self._producer.send_all(record for record, _ in due)
            await asyncio.gather(*sends)
        except Exception as error:
            _settle(due, error)
        else:
            _settle(due, None)


def _settle(due: list[tuple[Outgoing, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, arrived in due:
        if arrived.done():
            continue
        if error is None:
            arrived.set_result(None)
        else:
            arrived.set_exception(error)
