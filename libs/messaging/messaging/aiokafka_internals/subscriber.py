"""Private names of FastStream: how its subscribers make their consumer and hand batches on."""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from messaging.aiokafka_internals.shutdown import release_consumer
from messaging.records import RawRecord

__all__ = ["BatchSubscriber", "ConsumerBroker", "take_batches_by_call"]

AGAIN_SECONDS = 5.0
"""How long a reader waits after an error of Kafka before it tries again."""

_log = logging.getLogger(__name__)


class BatchConsumer(Protocol):
    """A consumer that hands on what has arrived, of all partitions together."""

    async def take(self, most: int) -> list[Any]:
        """Return up to `most` records, or wait for a while. Raises ConsumerStoppedError, KafkaError."""
        ...


class ConsumerBroker(KafkaBroker):
    """A FastStream broker whose subscribers read with the consumers that `consumer_type` makes."""

    def __init__(self, consumer_type: Callable[..., AIOKafkaConsumer], bootstrap: list[str], **options: Any) -> None:
        super().__init__(bootstrap, **options)
        self._consumer_type = consumer_type

    async def _connect(self) -> Any:
        build = await super()._connect()
        assert isinstance(build, partial), "FastStream hands the consumer's settings over as a partial"
        self.config.broker_config.builder = partial(self._consumer_type, *build.args, **build.keywords)
        return self.config.broker_config.builder

    async def start(self) -> None:
        """Connect, and start all subscribers or none: another try would start those again that were."""
        try:
            await super().start()
        except BaseException:
            await self.stop()
            raise

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Let handlers end, leave groups, disconnect. Nothing stays at work, also where that is cut short."""
        try:
            await super().stop(exc_type, exc_val, exc_tb)
        finally:
            for subscriber in self.subscribers:
                assert isinstance(subscriber, BatchSubscriber)
                subscriber.running = False
                for task in subscriber.tasks:
                    task.cancel()
                if subscriber.consumer is not None:
                    release_consumer(subscriber.consumer)
                    subscriber.consumer = None


async def _take_records(records: list[Any]) -> None:
    """Take a batch: what FastStream's document of a service shows in place of the handler."""
    raise AssertionError(f"{len(records)} records came past the handler")


def take_batches_by_call(
    subscriber: BatchSubscriber, handler: Callable[[Sequence[RawRecord]], Awaitable[None]], most: int
) -> BatchSubscriber:
    """Let `subscriber` hand each batch of up to `most` records to `handler` by a plain call.

    `docs/decisions/0015-faststream-declares.md` has the measurements.
    """
    subscriber(_take_records)

    async def consume_one(records: Sequence[RawRecord]) -> None:
        if not subscriber.running:
            return
        with subscriber.lock:  # a stop waits for it, for a while
            try:
                await handler(records)
            except Exception:
                _log.exception("a batch of %s could not be handled", records[0].topic)

    async def run(consumer: BatchConsumer) -> None:
        while subscriber.running:
            try:
                records = await consumer.take(most)
            except ConsumerStoppedError:
                return
            except KafkaError:
                _log.exception("Kafka gives no records to a reader of %s", ", ".join(subscriber.topic_names))
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if records:
                await consume_one(records)

    subscriber._run_consume_loop = run  # type: ignore[method-assign]
    return subscriber
