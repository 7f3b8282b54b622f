"""Slots on a real Kafka: a map is kept with the log, and more partitions move no key."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from contracts.slots import SlotMap
from contracts.topics import HOUR, Topic
from messaging.admin import ensure_topics
from messaging.producer import Producer
from messaging.records import Outgoing
from testkit.kafka.partitions import add_partitions

KEYS = [str(uuid4()).encode() for _ in range(60)]


async def sent_by(producer: Producer, bootstrap: str, topic: str) -> dict[bytes, int]:
    """Send a record of each key, and return where the last of each key lies."""
    for sent in await producer.send_all(Outgoing(topic, key, b"{}") for key in KEYS):
        await sent
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    ends, places = await consumer.end_offsets(list(consumer.assignment())), dict[bytes, int]()
    for place, end in ends.items():
        while await consumer.position(place) < end:
            places |= {
                record.key: place.partition for record in (await consumer.getmany(place, timeout_ms=1000))[place]
            }
    await consumer.stop()
    return places


@pytest.mark.parametrize("kept", [True, False])
async def test_more_partitions_move_no_key(kept: bool, kafka_bootstrap: str) -> None:  # noqa: FBT001 - both cases
    """With a kept map for every process that comes later, and without one for the process that was there."""
    topic = f"slots.{uuid4()}"
    await ensure_topics(kafka_bootstrap, topics=[Topic(topic, 3, HOUR, "a test")])
    producer = Producer(kafka_bootstrap, "test")
    await producer.start()
    if kept:
        await producer.keep_slots(SlotMap.dealt(topic, await producer.partitions(topic)))
    before = await sent_by(producer, kafka_bootstrap, topic)
    assert set(before.values()) == {0, 1, 2}
    await add_partitions(kafka_bootstrap, {topic: 7})
    later = producer
    if kept:
        later = Producer(kafka_bootstrap, "later")
        await later.start()
    assert len(await later.partitions(topic)) == (7 if kept else 3)
    assert await sent_by(later, kafka_bootstrap, topic) == before
    for one in {producer, later}:
        await one.stop()


async def test_a_map_is_read_whole_and_as_it_was_kept_last(kafka_bootstrap: str) -> None:
    """All maps of a log are there at the start of each process."""
    topics = [f"slots.{uuid4()}" for _ in range(3)]
    producer = Producer(kafka_bootstrap, "test")
    await producer.start()
    for count, topic in enumerate(topics, 2):
        await producer.keep_slots(SlotMap.dealt(topic, range(count)))
    await producer.stop()
    later = Producer(kafka_bootstrap, "later")
    await later.start()
    assert {topic: max((await later.read_slot_maps())[topic].slots) + 1 for topic in topics} == dict(
        zip(topics, (2, 3, 4), strict=True)
    )
    await later.stop()
