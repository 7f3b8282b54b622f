"""Producers and readers on each Kafka, ended with their test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from messaging.consumer import create_broker
from messaging.producer import Producer
from messaging.request_reply import Desk
from testkit.kafka.servers import Kafka

MakeProducer = Callable[..., Awaitable[Producer]]


@pytest_asyncio.fixture
async def make_producer(any_kafka: Kafka) -> AsyncIterator[MakeProducer]:
    """Make producers."""
    async with AsyncExitStack() as stack:

        async def make(bootstrap: str | None = None, give_up_seconds: float = 40) -> Producer:
            producer = Producer(bootstrap or any_kafka.bootstrap, "test", give_up_seconds)
            await producer.start()
            stack.push_async_callback(producer.stop)
            return producer

        yield make


@pytest_asyncio.fixture
async def producer(make_producer: MakeProducer) -> Producer:
    """Give a producer."""
    return await make_producer()


MakeDesk = Callable[..., Awaitable[Desk]]


@pytest_asyncio.fixture
async def make_desk(any_kafka: Kafka, producer: Producer) -> AsyncIterator[MakeDesk]:
    """Make desks that listen; `beside` another they share its partition."""
    async with AsyncExitStack() as stack:

        async def make(beside: Desk | None = None) -> Desk:
            while True:
                broker = create_broker(any_kafka.bootstrap, "test")
                desk = Desk(broker, producer, any_kafka.fetch_wait_ms)
                if beside is None or desk.partition == beside.partition:
                    break
            await broker.start()
            stack.push_async_callback(broker.stop)
            await desk.listening()
            return desk

        yield make


@pytest_asyncio.fixture
async def desk(make_desk: MakeDesk) -> Desk:
    """Give a desk."""
    return await make_desk()


class Reader:
    """Reads a partition from now on."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, count: int) -> list[ConsumerRecord]:
        """Return the next records."""
        found: list[ConsumerRecord] = []
        while len(found) < count:
            batches = await self._consumer.getmany(timeout_ms=200, max_records=count - len(found))
            found += [record for records in batches.values() for record in records]
        return found


MakeReader = Callable[[str, int], Awaitable[Reader]]


@pytest_asyncio.fixture
async def make_reader(any_kafka: Kafka) -> AsyncIterator[MakeReader]:
    """Make readers of a partition, from its end on."""
    async with AsyncExitStack() as stack:

        async def make(topic: str, partition: int) -> Reader:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=any_kafka.bootstrap, enable_auto_commit=False, fetch_max_wait_ms=25
            )
            await consumer.start()
            stack.push_async_callback(consumer.stop)
            place = TopicPartition(topic, partition)
            consumer.assign([place])
            await consumer.seek_to_end(place)
            return Reader(consumer)

        yield make
