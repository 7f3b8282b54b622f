"""Getting records to Kafka for sure: again until Kafka has them."""

from __future__ import annotations

import asyncio

import structlog

from messaging.errors import KafkaError
from messaging.producer import Producer
from messaging.records import Outgoing

MOST_TRIES = 20
"""With the producer's own patience these are many minutes; after them something is wrong that a fresh start may mend."""

_log = structlog.get_logger(__name__)


class Outbox:
    """Implements `ports.Post`. What is handed over in one turn of the event loop the producer sends together."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

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
        await self._producer.send(record)
