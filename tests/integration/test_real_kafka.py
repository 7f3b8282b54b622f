"""The provision of a real Kafka, and the properties of it that every suite relies on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Self

import pytest
from aiokafka import AIOKafkaConsumer

from apache_kafka.broker import RealKafka, answers
from contracts.topics import DAY, Topic
from local_stack.broker.embedded import EmbeddedBroker
from local_stack.wait import until
from messaging.admin import ensure_topics, log_identity
from messaging.producer import Producer
from messaging.records import Outgoing
from testkit.kafka.partitions import provisioned_topics
from testkit.kafka.provision import ProvisionedKafka
from testkit.kafka.servers import Kafka

ROOT = Path(__file__).parents[2]


async def new_topic(bootstrap: str) -> Topic:
    """Make a topic that no other test knows."""
    topic = Topic(f"test.{secrets.token_hex(6)}", 4, DAY, "records of one test")
    await ensure_topics(bootstrap, topics=[topic])
    return topic


@contextlib.asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[Producer]:
    """Run a producer."""
    producer = Producer(bootstrap, "test", give_up_seconds=60)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(bootstrap: str, topic: Topic, values: range) -> None:
    """Send numbers, spread over keys, and wait until all are acknowledged."""
    async with producing(bootstrap) as producer:
        records = [Outgoing(topic.name, str(value % 16).encode(), str(value).encode()) for value in values]
        for sent in await producer.send_all(records):
            await sent


class Member:
    """A member of a consumer group that counts what it reads and commits it."""

    def __init__(self, kafka: str, topic: Topic, fetch_wait_ms: int = 500) -> None:
        self.read: list[int] = []
        self.consumer = AIOKafkaConsumer(
            topic.name,
            bootstrap_servers=kafka,
            group_id=f"group-of-{topic.name}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=fetch_wait_ms,
            session_timeout_ms=6000,
            heartbeat_interval_ms=500,
        )

    async def __aenter__(self) -> Self:
        """Join."""
        await self.consumer.start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self.consumer.stop()

    @property
    def partitions(self) -> int:
        """How many partitions it has now."""
        return len(self.consumer.assignment())

    async def _read(self) -> None:
        while True:
            arrived = await self.consumer.getmany(timeout_ms=200)
            self.read += [int(record.value) for records in arrived.values() for record in records]
            if arrived:
                await self.consumer.commit()


async def test_a_real_kafka_is_provisioned_with_all_topics(real_kafka: ProvisionedKafka) -> None:
    """A real Kafka is no mock, however it was provisioned, and has every topic of the contracts."""
    assert not (await log_identity(real_kafka.bootstrap)).startswith("mockCluster")
    async with producing(real_kafka.bootstrap) as producer:
        for topic in provisioned_topics():
            assert len(await producer.partitions(topic.name)) == topic.partitions


async def test_a_record_that_was_acknowledged_is_read_once_and_in_the_order_of_its_key(any_kafka: Kafka) -> None:
    """Both brokers keep a key's order and lose nothing."""
    topic = await new_topic(any_kafka.bootstrap)
    await send(any_kafka.bootstrap, topic, range(500))
    async with Member(any_kafka.bootstrap, topic, any_kafka.fetch_wait_ms) as member:
        await until(lambda: len(member.read) >= 500, 30, "everything is read")
    assert sorted(member.read) == list(range(500))
    for key in range(16):
        of_key = [value for value in member.read if value % 16 == key]
        assert of_key == sorted(of_key)


async def test_two_consumers_of_a_group_share_a_topic_and_one_hands_over_to_the_other(kafka_bootstrap: str) -> None:
    """On a real Kafka an instance more takes its share, and one that leaves is replaced without loss."""
    topic = await new_topic(kafka_bootstrap)
    async with Member(kafka_bootstrap, topic) as stays:
        async with Member(kafka_bootstrap, topic) as leaves:
            await until(lambda: stays.partitions == leaves.partitions == 2, 30, "both have their share")
            await send(kafka_bootstrap, topic, range(200))
            await until(lambda: len(stays.read) + len(leaves.read) >= 200, 30, "everything is read")
            assert stays.read
            assert leaves.read
        await until(lambda: stays.partitions == 4, 30, "the one who stays has all")
        await send(kafka_bootstrap, topic, range(200, 400))
        await until(lambda: len(stays.read) + len(leaves.read) >= 400, 30, "everything is read")
    assert Counter(stays.read + leaves.read) == Counter(range(400))


async def test_a_broker_that_was_killed_comes_back_at_its_address_with_its_data(private_kafka: RealKafka) -> None:
    """Acknowledged records survive a crash of Kafka, for the same clients."""
    topic, cluster = await new_topic(private_kafka.bootstrap), await log_identity(private_kafka.bootstrap)
    await send(private_kafka.bootstrap, topic, range(100))
    private_kafka.kill()
    assert not await answers(private_kafka.bootstrap)
    await private_kafka.start()
    assert await log_identity(private_kafka.bootstrap) == cluster
    async with Member(private_kafka.bootstrap, topic) as member:
        await until(lambda: len(member.read) >= 100, 30, "everything is read")
    assert sorted(member.read) == list(range(100))


async def test_a_broker_that_hung_goes_on_where_it_was(private_kafka: RealKafka) -> None:
    """A pause of Kafka delays records and loses none."""
    topic = await new_topic(private_kafka.bootstrap)
    private_kafka.pause()
    sending = asyncio.create_task(send(private_kafka.bootstrap, topic, range(100)))
    done, _ = await asyncio.wait([sending], timeout=1)
    assert not done
    private_kafka.resume()
    await sending
    async with Member(private_kafka.bootstrap, topic) as member:
        await until(lambda: len(member.read) >= 100, 30, "everything is read")


async def test_the_embedded_broker_begins_an_empty_log_with_a_new_name_at_every_start(
    private_embedded: EmbeddedBroker,
) -> None:
    """Positions belong to one log, so a new log says that it is one."""
    topic, name = await new_topic(private_embedded.bootstrap), private_embedded.log_id
    await send(private_embedded.bootstrap, topic, range(10))
    await private_embedded.stop()
    await private_embedded.start()
    assert private_embedded.log_id != name
    await ensure_topics(private_embedded.bootstrap, topics=[topic])
    await send(private_embedded.bootstrap, topic, range(10, 20))
    async with Member(private_embedded.bootstrap, topic, 25) as member:
        await until(lambda: len(member.read) >= 10, 30, "everything is read")
    assert sorted(member.read) == list(range(10, 20))


async def run_without_any_kafka(settings: Mapping[str, str]) -> tuple[int, str]:
    """Run the first test above where there is no Kafka, no Docker and no Java; return the exit code and what it said."""
    nothing = {
        "PATH": str(Path(sys.executable).parent),
        "DOCKER_HOST": "unix:///nowhere",
        "KAFKA_BOOTSTRAP_SERVERS": "",
    }
    environment = {**os.environ, "CI": "", **nothing, **settings}
    only = f"{__file__}::{test_a_real_kafka_is_provisioned_with_all_topics.__name__}"
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", only),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    assert running.returncode is not None
    return running.returncode, said.decode()


async def test_without_any_real_kafka_its_tests_are_skipped_with_the_reasons() -> None:
    """A machine without Kafka, Docker and Java can still run everything else, and sees what is missing."""
    code, said = await run_without_any_kafka({})
    assert code == pytest.ExitCode.OK, said
    assert "1 skipped" in said
    assert "KAFKA_BOOTSTRAP_SERVERS is not set; Docker does not answer; no java on this machine" in said


async def test_in_ci_a_missing_real_kafka_fails_the_run() -> None:
    """In CI a skip would go unnoticed."""
    code, said = await run_without_any_kafka({"CI": "true"})
    assert code == pytest.ExitCode.TESTS_FAILED, said
    assert "CI=true, and there is no real Kafka" in said
