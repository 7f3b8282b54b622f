"""The steady path of fetch and produce: what is unusual is left to the client library, and nothing is lost or written twice by it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Self
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

from apache_kafka.artifacts import Unavailable
from apache_kafka.broker import RealKafka
from contracts.topics import HOUR, Topic
from local_stack.wait import until
from messaging.admin import ensure_topics
from messaging.aiokafka_internals.metrics import LEFT_TO_LIBRARY
from messaging.consumer import create_broker, subscribe_broadcast, subscribe_group, wait_for_positions
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord
from testkit.kafka.servers import Kafka

PARTITIONS = 4
SOME = Topic("steady.path", PARTITIONS, HOUR, "numbers of tests of the steady path")
BOTH = pytest.mark.parametrize("steady_path", [True, False])


class Numbers:
    """Sends the numbers from 0 on to each partition, some at a time, and keeps what arrives."""

    def __init__(self, bootstrap: str, topic: Topic, *, steady_path: bool) -> None:
        self.topic = topic
        self.producer = Producer(bootstrap, "test", give_up_seconds=60, steady_path=steady_path)
        self.broker = create_broker(bootstrap, "test", steady_path=steady_path)
        self.arrived: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
        self.acknowledged = 0
        self._subscriber = subscribe_broadcast(self.broker, topic, self._on_records, fetch_wait_ms=100)

    async def __aenter__(self) -> Self:
        await self.producer.start()
        await self.broker.start()
        await wait_for_positions(self._subscriber)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.stop()
        await self.producer.stop()

    async def _on_records(self, records: Sequence[RawRecord]) -> None:
        for record in records:
            self.arrived[record.partition].append(int(record.value or b""))

    async def send(self, count: int, pause: float = 0.0) -> None:
        """Send so many more numbers to every partition, and wait until Kafka has them."""
        sent: list[asyncio.Future[Any]] = []
        for number in range(self.acknowledged, self.acknowledged + count):
            value = b"%d" % number
            sent += await self.producer.send_all(
                [Outgoing(self.topic.name, b"k", value, [], partition) for partition in range(PARTITIONS)]
            )
            await asyncio.sleep(pause)
        await asyncio.gather(*sent)
        self.acknowledged += count

    async def all_arrive(self) -> None:
        """Wait until every number has arrived; fail unless each came once and in order."""
        expected = [*range(self.acknowledged)]
        await until(lambda: all(len(got) >= len(expected) for got in self.arrived.values()), 30, "all numbers arrive")
        assert self.arrived == dict.fromkeys(self.arrived, expected)

    def clients(self) -> list[AIOKafkaClient]:
        """Return the library's clients, of the producer and of the reader."""
        assert self.producer._producer is not None
        assert self._subscriber.consumer is not None
        return [self.producer._producer.client, self._subscriber.consumer._client]


def left(request: str) -> float:
    """Return how many requests were left to the library."""
    return sum(
        sample.value
        for metric in LEFT_TO_LIBRARY.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["request"] == request
    )


async def test_while_all_is_steady_the_library_sends_nothing_for_us(
    any_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetches and produces go out past its routines, on both kinds of broker."""
    await ensure_topics(any_kafka.bootstrap, topics=[SOME])
    async with Numbers(any_kafka.bootstrap, SOME, steady_path=True) as numbers:
        await numbers.send(20)
        await numbers.all_arrive()
        sent, send, ours = list[str](), AIOKafkaClient.send, numbers.clients()

        async def seen(self: AIOKafkaClient, node_id: int, request: Any, **options: Any) -> Any:
            if self in ours:
                sent.append(type(request).__name__)
            return await send(self, node_id, request, **options)

        monkeypatch.setattr(AIOKafkaClient, "send", seen)
        before = left("fetch"), left("produce")
        await numbers.send(50, pause=0.005)
        await numbers.all_arrive()
        assert (left("fetch"), left("produce")) == before
        assert not [name for name in sent if name.startswith(("Fetch", "Produce"))]


@BOTH
async def test_connections_that_are_lost_cost_no_record_and_write_none_twice(
    kafka_bootstrap: str, *, steady_path: bool
) -> None:
    """In the middle of whatever is on its way, again and again; the embedded broker is left out, which writes twice what it gets twice."""
    topic = replace(SOME, name=f"steady.lost.{steady_path}".lower())
    await ensure_topics(kafka_bootstrap, topics=[topic])
    async with Numbers(kafka_bootstrap, topic, steady_path=steady_path) as numbers:
        await numbers.send(5)
        for _ in range(6):
            sending = asyncio.create_task(numbers.send(40, pause=0.002))
            await asyncio.sleep(random.uniform(0.01, 0.08))  # noqa: S311 - a moment, not a secret
            for client in numbers.clients():
                for conn in list(client._conns.values()):
                    if conn._writer is not None:
                        conn._writer.transport.abort()
            await sending
        await numbers.all_arrive()


@pytest_asyncio.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RealKafka, RealKafka]]:
    """Run a cluster of two."""
    folder = tmp_path_factory.mktemp("cluster")
    quick = {"auto.leader.rebalance.enable": "true", "leader.imbalance.check.interval.seconds": 1}
    first = RealKafka(folder / "first", settings=quick)
    second = RealKafka(folder / "second", beside=first)
    try:
        await first.start()
        await second.start()
    except Unavailable as missing:
        pytest.skip(f"Apache Kafka cannot be run here: {missing}")
    yield first, second
    await second.stop()
    await first.stop()


@pytest_asyncio.fixture
async def two_brokers(cluster: tuple[RealKafka, RealKafka]) -> tuple[RealKafka, RealKafka]:
    """Give the cluster, both brokers in it. A test may stop, kill and pause the second, and leaves it running."""
    await until(lambda: brokers_in(cluster[0].bootstrap, 2), 60, "both brokers are in the cluster")
    return cluster


async def brokers_in(bootstrap: str, number: int) -> bool:
    """Tell whether a cluster has so many brokers that take part."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return len((await admin.describe_cluster())["brokers"]) == number
    finally:
        await admin.close()


def moving() -> Topic:
    """Return a topic of the test's own, on both brokers."""
    return Topic(f"steady.moving-{uuid4()}", PARTITIONS, HOUR, "numbers of a test of leaders that move")


@BOTH
async def test_leaders_that_move_cost_no_record_and_write_none_twice(
    two_brokers: tuple[RealKafka, RealKafka], *, steady_path: bool
) -> None:
    """A broker is killed and comes back, and its partitions move away and back again, under load."""
    (first, second), topic = two_brokers, moving()
    await ensure_topics(first.bootstrap, replication=2, topics=[topic])
    async with Numbers(f"{first.bootstrap},{second.bootstrap}", topic, steady_path=steady_path) as numbers:
        await numbers.send(50, pause=0.01)
        sending = asyncio.create_task(numbers.send(600, pause=0.02))
        await asyncio.sleep(1)
        second.kill()
        await asyncio.sleep(5)
        await second.start()
        await sending
        await numbers.send(300, pause=0.02)  # the controller gives the partitions back meanwhile
        await numbers.all_arrive()


async def test_a_broker_that_hangs_is_followed_by_its_partitions_and_holds_up_no_other(
    two_brokers: tuple[RealKafka, RealKafka],
) -> None:
    """Its connections stay open and silent: what the other leads goes on, and what moves there is read there."""
    (first, second), topic = two_brokers, moving()
    await ensure_topics(first.bootstrap, replication=2, topics=[topic])
    async with Numbers(f"{first.bootstrap},{second.bootstrap}", topic, steady_path=True) as numbers:
        await numbers.send(50, pause=0.01)
        cluster = numbers.clients()[1].cluster
        led = [
            number
            for number in range(PARTITIONS)
            if cluster.leader_for_partition(TopicPartition(topic.name, number)) == 1
        ]
        assert 0 < len(led) < PARTITIONS
        second.pause()
        try:
            sending = asyncio.create_task(numbers.send(100, pause=0.02))
            await until(lambda: all(len(numbers.arrived[number]) >= 150 for number in led), 12, "the other goes on")
            await sending
            await until(
                lambda: all(len(got) >= 150 for got in numbers.arrived.values()), 60, "the others are read elsewhere"
            )
        finally:
            second.resume()
        await numbers.send(50, pause=0.01)
        await numbers.all_arrive()


async def test_a_group_shares_partitions_of_two_brokers(two_brokers: tuple[RealKafka, RealKafka]) -> None:
    """Members come and go under load: every number arrives at one of them, in order for each partition."""
    first, _ = two_brokers
    await ensure_topics(first.bootstrap, replication=1, topics=[SOME])
    arrived: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}

    async def take(records: Sequence[RawRecord]) -> None:
        for record in records:
            arrived[record.partition].append(int(record.value or b""))

    def member() -> Any:
        broker = create_broker(first.bootstrap, "test")
        subscribe_group(broker, SOME, take, group="steady", fetch_wait_ms=100)
        return broker

    one, other = member(), member()
    await one.start()
    async with Numbers(first.bootstrap, SOME, steady_path=True) as numbers:
        sending = asyncio.create_task(numbers.send(400, pause=0.01))
        await asyncio.sleep(1)
        await other.start()
        await asyncio.sleep(2)
        await other.stop()
        await sending
        await numbers.all_arrive()
        expected = set(range(numbers.acknowledged))
        await until(lambda: all(set(got) == expected for got in arrived.values()), 30, "the group has all numbers")
    await one.stop()
