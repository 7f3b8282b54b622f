"""A record that the client library cannot read takes nothing from its neighbours: they are handed on, in order, once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from faststream.kafka import KafkaBroker
from prometheus_client import REGISTRY

from apache_kafka.broker import RealKafka
from contracts.runs.run_event import RunEvent
from contracts.topics import COMMANDS, EVENTS, HOUR, Topic
from local_stack.wait import until
from messaging.admin import ensure_topics
from messaging.client.record_salvage import UNREADABLE
from messaging.consumer import BatchHandler, create_broker, subscribe_broadcast, subscribe_group
from messaging.producer import Producer
from messaging.records import RawRecord
from testkit.kafka.record_batches import Given, batch_of, damaged, record_of, write_batch
from testkit.kafka.servers import Kafka
from testkit.kafka.topic_records import records_of
from testkit.runs.command_records import outgoing, start
from testkit.stack.orchestrators import Listener, Orchestrator

ODD = (b"trac\xff", b"\x00")
"""A header whose name is no text."""

READERS: dict[str, Callable[[KafkaBroker, Topic, BatchHandler], object]] = {
    "group": lambda broker, topic, handler: subscribe_group(
        broker, topic, handler, group=str(uuid4()), fetch_wait_ms=25
    ),
    "broadcast": lambda broker, topic, handler: subscribe_broadcast(
        broker, topic, handler, fetch_wait_ms=25, from_beginning=True
    ),
}


class Taken:
    """A handler that keeps what it got."""

    def __init__(self) -> None:
        self.of: dict[int, list[RawRecord]] = defaultdict(list)

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Keep a batch."""
        for record in records:
            self.of[record.partition].append(record)

    def has(self, count: int) -> bool:
        """Tell whether it has so many."""
        return sum(map(len, self.of.values())) >= count


async def fresh_topic(bootstrap: str, partitions: int = 4) -> Topic:
    """Make a topic that no service reads."""
    topic = Topic(f"strange-{uuid4()}", partitions, HOUR, "records that no client of ours would write")
    await ensure_topics(bootstrap, topics=[topic])
    return topic


async def read(bootstrap: str, topic: Topic, reader: str, count: int) -> dict[int, list[RawRecord]]:
    """Return the records of a topic as a handler gets them."""
    taken, broker = Taken(), create_broker(bootstrap, "test")
    READERS[reader](broker, topic, taken.on_records)
    await broker.start()
    await until(lambda: taken.has(count), 20, f"{count} records arrive")
    await broker.stop()
    return taken.of


@pytest.mark.parametrize("reader", READERS)
async def test_neighbours_of_a_header_name_that_is_no_text_are_handed_on_once(any_kafka: Kafka, reader: str) -> None:
    """In its batch, in its partition and in others, in order; the record itself too, its name written with escapes."""
    topic = await fresh_topic(any_kafka.bootstrap)
    good, odd = [Given(b"k", b"%d" % number) for number in range(11)], Given(b"k", b"odd", [ODD])
    write = partial(write_batch, any_kafka.bootstrap, topic.name)
    for partition in range(topic.partitions):
        await write(partition, batch_of(good[:5]))
    await write(1, batch_of([*good[5:7], odd, *good[7:9]]))
    await write(2, batch_of([odd], codec=1))
    for partition in range(topic.partitions):
        await write(partition, batch_of(good[9:]))
    taken = await read(any_kafka.bootstrap, topic, reader, 34)
    plain, strange = [given.value for given in (*good[:5], *good[9:])], [b"%d" % number for number in range(11)]
    assert {partition: [record.value for record in records] for partition, records in taken.items()} == {
        0: plain,
        1: [*strange[:7], b"odd", *strange[7:]],
        2: [*plain[:5], b"odd", *plain[5:]],
        3: plain,
    }
    assert tuple(taken[1][7].headers) == (("trac\\xff", b"\x00"),)


@pytest.mark.parametrize("reader", READERS)
async def test_what_a_careless_broker_took_is_set_aside(embedded_bootstrap: str, reader: str) -> None:
    """A damaged batch and a record that lies about its length: each is handed on as bytes with the reason, and counted."""
    topic = await fresh_topic(embedded_bootstrap)
    good = [Given(b"k", b"%d" % number) for number in range(6)]
    liar = record_of(Given(b"k", b"v"), 1)[:-1] + b"\x7f"
    bad = damaged(batch_of([Given(b"k", b"v")] * 3))
    for batch in (batch_of(good[:2]), bad, batch_of([good[2], liar, good[3]]), batch_of(good[4:])):
        await write_batch(embedded_bootstrap, topic.name, 3, batch)
    records = (await read(embedded_bootstrap, topic, reader, 8))[3]
    assert [record.offset for record in records] == [0, 1, 2, 5, 6, 7, 8, 9]
    assert [record.value for record in records if record.key] == [given.value for given in good]
    assert [dict(record.headers).keys() for record in records if not record.key] == [{UNREADABLE}] * 2
    assert (records[2].value or b"")[16:] == bad[16:]
    assert records[4].value == liar
    labels = {"topic": topic.name, "partition": "3"}
    assert REGISTRY.get_sample_value("sayso_unreadable_batches_total", labels) == 2


async def test_damage_on_a_brokers_disk_stops_nobody(restartable_kafka: RealKafka) -> None:
    """A byte of a stored batch turns into another: that batch is set aside, what lies before and behind it is read."""
    topic = await fresh_topic(restartable_kafka.bootstrap, 1)
    for number in range(3):
        batch = batch_of([Given(b"k", b"value-%d-%d" % (number, place)) for place in range(4)])
        await write_batch(restartable_kafka.bootstrap, topic.name, 0, batch)
    await restartable_kafka.stop()
    damage(restartable_kafka.folder / "data" / f"{topic.name}-0", b"value-1-2")
    await restartable_kafka.start()
    records = (await read(restartable_kafka.bootstrap, topic, "group", 9))[0]
    assert [record.offset for record in records] == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert [record.offset for record in records if record.key is None] == [4]
    assert dict(records[4].headers)[UNREADABLE].startswith(b"CorruptRecordException")


async def test_twenty_commands_around_a_strange_record_are_decided_once(
    restartable_kafka: RealKafka, restartable_url: str, tmp_path: Path
) -> None:
    """The orchestrator goes on, and makes a dead letter of what is no command."""
    orchestrator = Orchestrator(tmp_path, restartable_kafka.bootstrap, restartable_url)
    commands, producer = [start() for _ in range(20)], Producer(restartable_kafka.bootstrap, "test")
    stray = uuid4().hex.encode()
    async with Listener(restartable_kafka.bootstrap, EVENTS.name) as listener:
        await producer.start()
        await asyncio.gather(*await producer.send_all(map(outgoing, commands[:10])))
        partitions = await producer.partitions(COMMANDS.name)
        for partition in partitions:
            await write_batch(
                restartable_kafka.bootstrap, COMMANDS.name, partition, batch_of([Given(b"k", stray, [ODD])])
            )
        await asyncio.gather(*await producer.send_all(map(outgoing, commands[10:])))
        await producer.stop()
        wanted = {command.run_id for command in commands}
        try:
            await orchestrator.start()
            await until(lambda: wanted <= set(runs(listener)), 20, "all are decided")
            assert await orchestrator.health(200)
        finally:
            await orchestrator.process.stop(10)
    assert sorted(run for run in runs(listener) if run in wanted) == sorted(wanted)
    letters = [
        letter for letter in await records_of(restartable_kafka.bootstrap, COMMANDS.dead) if letter.value == stray
    ]
    assert sorted(dict(letter.headers)["source-partition"] for letter in letters) == [b"%d" % n for n in partitions]
    assert all(dict(letter.headers)["trac\\xff"] == b"\x00" for letter in letters)
    assert "Traceback" not in orchestrator.said


def runs(listener: Listener) -> list[UUID]:
    """Return the run of each start that was heard: without a worker a lease ends too, on a slow machine."""
    heard = [RunEvent.parse(record.value) for record in listener.on(EVENTS.name)]
    return [event.run_id for event in heard if event.version == 1]


def damage(folder: Path, place: bytes) -> None:
    """Turn a byte of the log around."""
    log = folder / "00000000000000000000.log"
    held = log.read_bytes()
    at = held.index(place)
    log.write_bytes(held[:at] + bytes([held[at] ^ 0xFF]) + held[at + 1 :])
