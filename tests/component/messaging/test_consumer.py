"""Records reach a handler as they came, in batches, whoever wrote them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import confluent_kafka
import pytest

from contracts.topics import COMMANDS
from local_stack.wait import until
from messaging.consumer import commit_offsets, create_broker, end_offsets, subscribe_group
from messaging.records import RawRecord


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


async def test_only_what_is_committed_is_not_read_again(kafka_bootstrap: str) -> None:
    """Offsets are the caller's: a reader that comes back begins behind what was committed, wherever it had read to."""
    group = str(uuid4())
    first, broker = Taken(), create_broker(kafka_bootstrap, "test")
    subscriber = subscribe_group(broker, COMMANDS, first.on_records, group=group, fetch_wait_ms=25)
    await broker.start()
    ends = await end_offsets(subscriber, COMMANDS, range(COMMANDS.partitions))
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


def new(taken: Taken, ends: dict[int, int]) -> list[RawRecord]:
    """Return the records from `ends` on in partition 0."""
    return [record for record in taken.records if record.partition == 0 and record.offset >= ends[0]]
