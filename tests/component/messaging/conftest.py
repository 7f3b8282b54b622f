"""Producers and readers on each Kafka, ended with their test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from messaging.consumer import create_broker
from messaging.producer import Producer
from messaging.request_reply import RequestReply
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


MakeRequestReply = Callable[..., Awaitable[RequestReply]]


@pytest_asyncio.fixture
async def make_request_reply(any_kafka: Kafka, producer: Producer) -> AsyncIterator[MakeRequestReply]:
    """Make askers that listen; `beside` another they share its partition."""
    async with AsyncExitStack() as stack:

        async def make(beside: RequestReply | None = None) -> RequestReply:
            while True:
                broker = create_broker(any_kafka.bootstrap, "test")
                asker = RequestReply(broker, producer, any_kafka.fetch_wait_ms)
                await broker.start()
                stack.push_async_callback(broker.stop)
                await asker.ready()
                if beside is None or asker.partition == beside.partition:
                    return asker

        yield make


@pytest_asyncio.fixture
async def asker(make_request_reply: MakeRequestReply) -> RequestReply:
    """Give a asker."""
    return await make_request_reply()


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
