"""Publishes records reliably: again until Kafka has them."""

from __future__ import annotations

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from messaging.errors import KafkaError
from messaging.producer import Producer
from messaging.records import Outgoing

MOST_TRIES = 20
"""With the producer's own patience these take many minutes; after them something is wrong that a fresh start may mend."""

_log = structlog.get_logger(__name__)


class Outbox:
    """Implements `ports.Publisher`. The producer sends together what it gets in one turn of the event loop."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def send(self, record: Outgoing) -> None:
        """Return when all replicas have `record`; retry while Kafka is unavailable. Raises KafkaError after the last try."""
        try:
            await self.try_to_send(record)
        except KafkaError as error:
            _log.warning("not sent yet", topic=record.topic, error=type(error).__name__)
            await self._retry(record)

    async def try_to_send(self, record: Outgoing) -> None:
        """Try once; return when all replicas have `record`. Raises KafkaError."""
        await self._producer.send(record)

    async def _retry(self, record: Outgoing) -> None:
        # Apart from the first try: making the loop costs more than handing a record over.
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(KafkaError),
            stop=stop_after_attempt(MOST_TRIES - 1),
            wait=wait_exponential(0.1, max=5),
            reraise=True,
        ):
            with attempt:
                await self.try_to_send(record)
