"""Partitions that are added to a topic in use, and topics whose settings or whose absence would lose records."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import confluent_kafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import HOUR, MAX_RECORD_BYTES, Topic
from local_stack.wait import until
from messaging.admin import ensure_topics, fit_topics
from messaging.consumer import (
    create_broker,
    subscribe_any_partition,
    subscribe_broadcast,
    subscribe_group,
    wait_for_positions,
)
from messaging.errors import KafkaError, TopicsMissing, TopicsUnfit
from messaging.producer import Producer
from messaging.records import RawRecord
from testkit.kafka.partitions import add_partitions

FOLLOWED_SECONDS = 60
"""Within a minute, added partitions are read."""


class Taken:
    """A handler that counts the values that it got."""

    def __init__(self) -> None:
        self.values: Counter[bytes] = Counter()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Count a batch."""
        self.values.update(record.value or b"" for record in records)


def a_topic(partitions: int = 3) -> Topic:
    """Return a topic that no other test knows."""
    return Topic(f"growing-{uuid4()}", partitions, HOUR, "a test")


async def write(bootstrap: str, topic: Topic, partition: int, *values: bytes) -> None:
    """Write records as any client does."""
    writer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    for value in values:
        writer.produce(topic.name, value=value, partition=partition)
    await asyncio.to_thread(writer.flush, 20)


async def test_added_partitions_are_read_from_their_beginning_by_readers_of_every_kind(kafka_bootstrap: str) -> None:
    """What is written to a new partition before a reader knows of it is read within a minute, once, and nothing else twice."""
    topic = a_topic()
    await ensure_topics(kafka_bootstrap, topics=[topic])
    await write(kafka_bootstrap, topic, 0, b"before")
    broker = create_broker(kafka_bootstrap, "test")
    whole, later, shared = Taken(), Taken(), Taken()
    readers = [
        subscribe_broadcast(broker, topic, whole.on_records, fetch_wait_ms=25, from_beginning=True),
        subscribe_broadcast(broker, topic, later.on_records, fetch_wait_ms=25),
    ]
    subscribe_group(broker, topic, shared.on_records, group=str(uuid4()), fetch_wait_ms=25)
    await broker.start()
    for reader in readers:
        await wait_for_positions(reader)
    await until(lambda: whole.values[b"before"] == shared.values[b"before"] == 1, 20, "what lies there is read")
    await add_partitions(kafka_bootstrap, {topic.name: 8})
    for partition in range(8):
        await write(kafka_bootstrap, topic, partition, b"first-%d" % partition)
    new = {b"first-%d" % partition for partition in range(8)}

    def all_have(wanted: set[bytes]) -> bool:
        return all(wanted <= taken.values.keys() for taken in (whole, later, shared))

    await until(lambda: all_have(new), FOLLOWED_SECONDS, "added partitions are read")
    for partition in range(8):
        await write(kafka_bootstrap, topic, partition, b"then-%d" % partition)
    new |= {b"then-%d" % partition for partition in range(8)}
    await until(lambda: all_have(new), 20, "every partition goes on")
    await broker.stop()
    assert whole.values == dict.fromkeys({*new, b"before"}, 1)
    assert later.values == dict.fromkeys(new, 1)


async def test_a_topic_of_one_partition_serves_many_askers(kafka_bootstrap: str) -> None:
    """More gateways than partitions: each reads the one that there is."""
    topic = a_topic(1)
    await ensure_topics(kafka_bootstrap, topics=[topic])
    broker, taken = create_broker(kafka_bootstrap, "test"), [Taken() for _ in range(3)]
    readers = [subscribe_any_partition(broker, topic, one.on_records, fetch_wait_ms=25) for one in taken]
    await broker.start()
    for reader in readers:
        await wait_for_positions(reader)
    await write(kafka_bootstrap, topic, 0, b"answer")
    await until(lambda: all(one.values[b"answer"] == 1 for one in taken), 20, "each has the answer")
    await broker.stop()


async def test_a_topic_that_is_missing_is_named(kafka_bootstrap: str) -> None:
    """Where brokers create no topics, one line says which are missing; once they are made, nothing is in the way."""
    topic, other = a_topic(), a_topic()
    await ensure_topics(kafka_bootstrap, topics=[topic])
    producer = Producer(kafka_bootstrap, "test")
    await producer.start()
    try:
        await producer.partitions(topic.name)  # a new topic is known to its broker a little later
        with pytest.raises(TopicsMissing, match=f"no topic {other.name}: `make topics`"):
            await producer.require([topic.name, other.name])
        await ensure_topics(kafka_bootstrap, topics=[other])
        await producer.partitions(other.name)
        await producer.require([topic.name, other.name])
    finally:
        await producer.stop()


async def made_by_its_broker(bootstrap: str, topic: Topic, **settings: str) -> None:
    """Create a topic with its broker's settings and these alone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = {name.replace("_", "."): value for name, value in settings.items()}
    await admin.create_topics([NewTopic(topic.name, topic.partitions, 1, topic_configs=names)])
    await admin.close()


async def settings_of(bootstrap: str, topic: Topic) -> dict[str, str]:
    """Return a topic's settings."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
    await admin.close()
    return {name: value for name, value, *_ in answer.resources[0][4]}


Fit = Callable[[str, Sequence[Topic]], Awaitable[None]]


async def by_command(bootstrap: str, topics: Sequence[Topic]) -> None:
    """Give topics our settings as `make topics` does."""
    await ensure_topics(bootstrap, topics=topics)


@pytest.mark.parametrize("fit", [fit_topics, by_command])
async def test_a_topic_that_its_broker_made_gets_our_settings_and_keeps_its_operators(
    fit: Fit, kafka_bootstrap: str
) -> None:
    """A broker that creates topics by itself gives them its own limit and retention: what was too small or too short is mended."""
    compacted = Topic(f"kept-{uuid4()}", 1, None, "a test")
    plain = a_topic()
    for topic in (compacted, plain):
        await made_by_its_broker(kafka_bootstrap, topic, segment_bytes="2097152")
    await fit(kafka_bootstrap, [compacted, plain])
    kept, aged = [await settings_of(kafka_bootstrap, topic) for topic in (compacted, plain)]
    assert (kept["cleanup.policy"], kept["max.message.bytes"]) == ("compact", str(MAX_RECORD_BYTES))
    assert (aged["retention.ms"], aged["max.message.bytes"]) == (str(HOUR), str(MAX_RECORD_BYTES))
    assert kept["segment.bytes"] == aged["segment.bytes"] == "2097152"
    given = a_topic()
    await made_by_its_broker(kafka_bootstrap, given, retention_ms="60000")
    await fit(kafka_bootstrap, [given])
    assert (await settings_of(kafka_bootstrap, given))["retention.ms"] == "60000"


async def test_a_limit_below_ours_that_an_operator_set_is_refused_by_name(kafka_bootstrap: str) -> None:
    """A record that the topic does not take would end a service at each start: one line says what to set."""
    topic = a_topic()
    await made_by_its_broker(kafka_bootstrap, topic, max_message_bytes="1000000")
    with pytest.raises(
        TopicsUnfit, match=f"{topic.name} takes records of 1000000 bytes at most: set its max.message.bytes"
    ):
        await fit_topics(kafka_bootstrap, [topic])


async def test_more_replicas_than_brokers_are_refused_with_kafkas_own_words(kafka_bootstrap: str) -> None:
    """The line names the topic and says how many brokers there are."""
    topic = a_topic()
    with pytest.raises(KafkaError, match=f"topic {topic.name}: .*replication factor.* 3 .*only 1 broker"):
        await ensure_topics(kafka_bootstrap, replication=3, topics=[topic])
