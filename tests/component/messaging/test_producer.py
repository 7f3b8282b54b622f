"""Records are handed over in order and arrive whole, on the embedded broker and on the real one."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import COMMANDS, MAX_RECORD_BYTES, all_topics
from messaging.admin import ensure_topics, log_identity
from messaging.dead_letters import dead_letter
from messaging.errors import RecordTooLarge
from messaging.producer import Producer
from messaging.records import Outgoing
from testkit.kafka.record_batches import Given, batch_of, write_batch
from testkit.kafka.servers import Kafka

from .conftest import MakeReader

TOPIC = COMMANDS.name


def outgoing(value: bytes, key: bytes = b"k", partition: int | None = 0) -> Outgoing:
    """Return a record for the commands' topic."""
    return Outgoing(TOPIC, key, value, [("h", b"\xff")], partition)


async def test_records_of_a_partition_keep_their_order(producer: Producer, make_reader: MakeReader) -> None:
    """However many are handed over at once, and however many requests that takes."""
    reader = await make_reader(TOPIC, 0)
    sent = [f"{number}".encode() + b"x" * (number % 700) for number in range(3000)]
    futures = []
    for begin in range(0, 3000, 250):
        futures += await producer.send_all(outgoing(value) for value in sent[begin : begin + 250])
    await asyncio.gather(*futures)
    assert [record.value for record in await reader.read(3000)] == sent


async def test_a_record_larger_than_a_batch_arrives_whole_and_in_its_place(
    producer: Producer, make_reader: MakeReader
) -> None:
    """Up to the largest record that topics take."""
    reader = await make_reader(TOPIC, 0)
    sizes = [10, 200_000, 10, MAX_RECORD_BYTES - 200, 10]  # the embedded broker keeps 5 MiB a partition and no more
    sent = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    await asyncio.gather(*await producer.send_all(map(outgoing, sent)))
    records = await reader.read(len(sizes))
    assert [record.value for record in records] == sent
    assert {record.headers for record in records} == {(("h", b"\xff"),)}


async def test_a_dead_letter_keeps_a_header_that_has_no_value(
    any_kafka: Kafka, producer: Producer, make_reader: MakeReader
) -> None:
    """Kafka's headers may be without value; what readers set aside is sent on with them."""
    reader, dead = await make_reader(TOPIC, 0), await make_reader(COMMANDS.dead, 0)
    await write_batch(any_kafka.bootstrap, TOPIC, 0, batch_of([Given(b"k", b"{}", ((b"empty", None),))]))
    (record,) = await reader.read(1)
    await producer.send(dead_letter(record, ValueError("no command")))
    (letter,) = await dead.read(1)
    assert letter.headers[0] == ("empty", None)


async def test_a_record_that_no_topic_takes_is_refused_before_anything_is_sent(
    producer: Producer, make_reader: MakeReader
) -> None:
    """The caller is told at once, the records handed over with it are not sent, and the producer goes on."""
    reader = await make_reader(TOPIC, 0)
    await producer.send(outgoing(b"before"))
    with pytest.raises(RecordTooLarge, match=str(MAX_RECORD_BYTES)):
        await producer.send_all([outgoing(b"beside"), outgoing(b"x" * MAX_RECORD_BYTES)])
    for _ in range(3):
        await producer.send(outgoing(b"after"))
    assert [record.value for record in await reader.read(4)] == [b"before", *[b"after"] * 3]


async def test_a_key_chooses_its_partition_as_every_kafka_client_would(
    producer: Producer, make_reader: MakeReader
) -> None:
    """The same key always goes to the same partition, and keys spread over all."""
    partitions = await producer.partitions(TOPIC)
    readers = [await make_reader(TOPIC, number) for number in partitions]
    keys = [*MURMUR2, *(str(uuid4()).encode() for _ in range(64))]
    sending = [outgoing(b"v", key, None) for key in [*keys, *keys]]
    ends = [outgoing(b"end", partition=number) for number in partitions]
    await asyncio.gather(*await producer.send_all([*sending, *ends]))
    found: dict[bytes, set[int]] = defaultdict(set)
    for number, reader in enumerate(readers):
        while (record := (await reader.read(1))[0]).value != b"end":
            found[record.key].add(number)
    assert {key: found[key] for key in MURMUR2} == {key: {slot % len(partitions)} for key, slot in MURMUR2.items()}
    assert {len(found[key]) for key in keys} == {1}
    assert set().union(*found.values()) == set(partitions)


MURMUR2 = {
    key: number & 0x7FFFFFFF & 4095
    for key, number in {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}.items()
}
"""Slots by the hash of the Java client. Among partitions whose number is a power of two, its own partitioner chooses the same."""


async def test_an_answer_to_a_partition_that_is_not_there_is_dropped(
    producer: Producer, make_reader: MakeReader
) -> None:
    """A command can name any partition for its answer: nobody waits there, and the records beside it arrive."""
    reader = await make_reader(TOPIC, 0)
    sends = await producer.send_all([outgoing(b"lost", partition=10**12), outgoing(b"beside")])
    await asyncio.gather(*sends)
    assert [record.value for record in await reader.read(1)] == [b"beside"]


async def test_topics_are_made_once_and_left_as_they_are(any_kafka: Kafka, producer: Producer) -> None:
    """Making them again changes nothing; every topic has its partitions."""
    made = {topic.name: await producer.partitions(topic.name) for topic in all_topics()}
    await ensure_topics(any_kafka.bootstrap)
    await ensure_topics(any_kafka.bootstrap, topics=[COMMANDS])
    assert {topic.name: await producer.partitions(topic.name) for topic in all_topics()} == made


async def test_real_topics_keep_what_they_are_meant_to(kafka_bootstrap: str) -> None:
    """Retention, compaction and the size of records are set when a topic is made."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in all_topics()]
        held = {}
        for answer in await admin.describe_configs(wanted):
            for resource in answer.resources:
                held[resource[3]] = {entry[0]: entry[1] for entry in resource[4]}
    finally:
        await admin.close()
    for topic in all_topics():
        config = held[topic.name]
        assert int(config["max.message.bytes"]) == MAX_RECORD_BYTES
        if topic.retention_ms is None:
            assert config["cleanup.policy"] == "compact"
        else:
            assert int(config["retention.ms"]) == topic.retention_ms


async def test_a_log_has_one_identity(any_kafka: Kafka) -> None:
    """Asked twice it is the same."""
    assert await log_identity(any_kafka.bootstrap) == await log_identity(any_kafka.bootstrap) != ""


async def test_a_stopped_producer_has_sent_what_it_took(any_kafka: Kafka, make_reader: MakeReader) -> None:
    """Records that were handed over before a stop arrive."""
    reader, producer = await make_reader(TOPIC, 0), Producer(any_kafka.bootstrap, "test")
    await producer.start()
    await producer.send_all(outgoing(b"%d" % number) for number in range(100))
    await producer.stop()
    assert len(await reader.read(100)) == 100
