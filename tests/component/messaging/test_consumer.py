"""Records reach a handler as they came, in batches, whoever wrote them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import confluent_kafka
import pytest

from contracts.topics import COMMANDS, HOUR, Topic
from local_stack.ports import LOOPBACK
from local_stack.wait import until
from messaging.admin import ensure_topics
from messaging.consumer import (
    OffsetRange,
    commit_offsets,
    create_broker,
    end_offsets,
    partitions_of,
    seek_to_last,
    subscribe_any_partition,
    subscribe_broadcast,
    subscribe_group,
    wait_for_positions,
)
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord


class Taken:
    """A handler that keeps what it got."""

    def __init__(self) -> None:
        self.records: list[RawRecord] = []

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Keep a batch."""
        self.records += records


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_can_be_read(compression: str) -> None:
    """Writers and brokers choose how records are packed; one that could not be unpacked would stop every partition."""
    from aiokafka import codec  # noqa: PLC0415 - it looks for its libraries when it is imported

    assert compression == "none" or getattr(codec, f"has_{compression}")()


async def test_records_of_any_client_arrive_as_they_were_written(kafka_bootstrap: str) -> None:
    """Bytes that are no UTF-8 in key, value and headers, no value at all, and packed in every way."""
    taken, broker = Taken(), create_broker(kafka_bootstrap, "test")
    subscriber = subscribe_group(broker, COMMANDS, taken.on_records, group=str(uuid4()), fetch_wait_ms=25)
    await broker.start()
    written = {}
    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
        writer = confluent_kafka.Producer({"bootstrap.servers": kafka_bootstrap, "compression.type": compression})
        for value in (b"\xff" * 5000, None):
            key = uuid4().bytes
            headers: list[tuple[str, str | bytes | None]] = [("h", b"\xff\xfe"), ("h", b""), ("none", None)]
            writer.produce(COMMANDS.name, key=key, value=value, headers=headers)
            written[key] = (value, tuple(headers))
        await asyncio.to_thread(writer.flush, 10)

    def all_arrived() -> bool:
        return written.keys() <= {record.key for record in taken.records}

    await until(all_arrived, 20, "all records arrive")
    assert {
        record.key: (record.value, tuple(record.headers)) for record in taken.records if record.key in written
    } == written
    await broker.stop()
    assert subscriber.consumer is None


async def test_of_several_addresses_one_that_answers_is_enough(kafka_bootstrap: str) -> None:
    """A cluster is named by some of its brokers, and one of them may be away: for writers and readers alike."""
    addresses = f"{LOOPBACK}:1,{kafka_bootstrap}"
    taken, broker, producer = Taken(), create_broker(addresses, "test"), Producer(addresses, "test")
    subscriber = subscribe_broadcast(broker, COMMANDS, taken.on_records, fetch_wait_ms=25)
    await broker.start()
    await producer.start()
    await wait_for_positions(subscriber)
    await producer.send(Outgoing(COMMANDS.name, b"k", b"some addresses"))
    await until(lambda: b"some addresses" in [record.value for record in taken.records], 20, "the record arrives")
    await producer.stop()
    await broker.stop()


async def test_only_what_is_committed_is_not_read_again(kafka_bootstrap: str) -> None:
    """Offsets are the caller's: a reader that comes back begins behind what was committed, wherever it had read to."""
    group = str(uuid4())
    first, broker = Taken(), create_broker(kafka_bootstrap, "test")
    subscriber = subscribe_group(broker, COMMANDS, first.on_records, group=group, fetch_wait_ms=25)
    await broker.start()
    ends = await end_offsets(subscriber, COMMANDS, partitions_of(subscriber))
    await commit_offsets(subscriber, COMMANDS, ends)
    writer = confluent_kafka.Producer({"bootstrap.servers": kafka_bootstrap})
    for number in range(3):
        writer.produce(COMMANDS.name, value=b"%d" % number, partition=0)
    await asyncio.to_thread(writer.flush, 10)
    await until(lambda: len(new(first, ends)) == 3, 20, "the records arrive")
    await commit_offsets(subscriber, COMMANDS, {0: ends[0] + 1})
    await broker.stop()
    second, broker = Taken(), create_broker(kafka_bootstrap, "test")
    subscribe_group(broker, COMMANDS, second.on_records, group=group, fetch_wait_ms=25)
    await broker.start()
    await until(lambda: len(new(second, ends)) == 2, 20, "the rest arrives again")
    assert [record.value for record in new(second, ends)] == [b"1", b"2"]
    await broker.stop()


async def test_a_broadcast_reader_reads_all_partitions_that_there_are(kafka_bootstrap: str) -> None:
    """No number of ours decides how many: a topic with seven is read as a whole, from its beginning, each record once."""
    topic = Topic(f"seven-{uuid4()}", 7, HOUR, "more partitions than topics have by default")
    await ensure_topics(kafka_bootstrap, topics=[topic])
    writer = confluent_kafka.Producer({"bootstrap.servers": kafka_bootstrap})
    for partition in range(7):
        writer.produce(topic.name, value=b"%d" % partition, partition=partition)
    await asyncio.to_thread(writer.flush, 10)
    taken, broker = Taken(), create_broker(kafka_bootstrap, "test")
    subscriber = subscribe_broadcast(broker, topic, taken.on_records, fetch_wait_ms=25, from_beginning=True)
    await broker.start()
    assert partitions_of(subscriber) == list(range(7))
    await until(lambda: len(taken.records) >= 7, 20, "all records arrive")
    ranges = await seek_to_last(subscriber, 10)
    await broker.stop()
    assert sorted(record.value or b"" for record in taken.records) == [b"%d" % partition for partition in range(7)]
    assert ranges == dict.fromkeys(range(7), OffsetRange(0, 1))


async def test_readers_of_any_partition_spread_over_all(kafka_bootstrap: str) -> None:
    """Each reads one of those that the topic has, and is told which; beyond the first four as well."""
    topic = Topic(f"seven-{uuid4()}", 7, HOUR, "more partitions than topics have by default")
    await ensure_topics(kafka_bootstrap, topics=[topic])
    broker = create_broker(kafka_bootstrap, "test")
    readers = [subscribe_any_partition(broker, topic, Taken().on_records, fetch_wait_ms=25) for _ in range(40)]
    await broker.start()
    chosen = [partition for reader in readers for partition in partitions_of(reader)]
    await broker.stop()
    assert len(chosen) == len(readers)
    assert set(chosen) <= set(range(7))
    assert set(chosen) & {4, 5, 6}


def new(taken: Taken, ends: dict[int, int]) -> list[RawRecord]:
    """Return the records from `ends` on in partition 0."""
    return [record for record in taken.records if record.partition == 0 and record.offset >= ends[0]]
