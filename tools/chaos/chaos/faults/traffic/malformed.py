"""Malformed records among good ones: each becomes a dead letter, and its neighbours are processed."""

from __future__ import annotations

import json
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage
from contracts.runs.commands import StartRun
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS, EVENTS, WORK, Topic
from local_stack.wait import until
from testkit.kafka.partitions import partitions_of
from testkit.kafka.record_batches import Given, batch_of, write_batch
from testkit.kafka.topic_records import records_of
from testkit.runs.command_records import start

ROUNDS = 2

_DEEP = b"[" * 200_000 + b"]" * 200_000
_HUGE = json.dumps({"kind": "start-run.v1", "prompt": "x" * 600_000}).encode()

MALFORMED = [
    Given(b"k", b"\xff\xfe is no JSON"),
    Given(b"k", b""),
    Given(None, None),
    Given(b"k", b"null"),
    Given(b"k", b'{"kind": "no-such-thing.v9"}'),
    Given(b"k", b'{"kind": 7, "run_id": "x"}'),
    Given(b"k", b'{"kind": "run-started.v1", "run_id": "\\ud800"}'),
    Given(b"k", _DEEP),
    Given(b"k", _HUGE),
    Given(b"k", b"{}", ((b"nam\xff", b"\x00"), (b"", None))),
]


async def among_good_ones(stage: Stage, load: Load) -> None:
    """Write every kind of malformed record to every partition of three topics, twice."""
    before = {topic.name: await _ends(stage.bootstrap, topic) for topic in (COMMANDS, WORK, EVENTS)}
    for _ in range(ROUNDS):
        for topic in (COMMANDS, WORK, EVENTS):
            for partition in before[topic.name]:
                await _write(stage.bootstrap, topic, partition)
        await load.more(5)
    for topic in (COMMANDS, WORK, EVENTS):
        await until(lambda: _all_dead(stage.bootstrap, topic, before[topic.name]), 30, f"{topic.dead} has them all")  # noqa: B023 - awaited here
    await load.runs_in_progress_end()


async def _write(bootstrap: str, topic: Topic, partition: int) -> None:
    malformed = MALFORMED if topic is not COMMANDS else [*MALFORMED, _under_another_key()]
    for given in malformed:
        await write_batch(bootstrap, topic.name, partition, batch_of([given]))


def _under_another_key() -> Given:
    command: StartRun = start(uuid4())
    assert isinstance(command.request, RunRequest)
    return Given(str(uuid4()).encode(), command.model_dump_json().encode())


async def _all_dead(bootstrap: str, topic: Topic, before: dict[int, int]) -> bool:
    """Tell whether the dead letters hold each malformed record written since."""
    malformed = len(MALFORMED) + (topic is COMMANDS)
    letters = {
        (headers[b"source-partition"], headers[b"source-offset"])
        for record in await records_of(bootstrap, topic.dead)
        if (headers := {name.encode(): value for name, value in record.headers})
        and int(headers[b"source-offset"]) >= before[int(headers[b"source-partition"])]
    }
    return len(letters) == ROUNDS * malformed * len(before)


async def _ends(bootstrap: str, topic: Topic) -> dict[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = (await partitions_of(bootstrap, [topic.name]))[topic.name]
        ends = await consumer.end_offsets([TopicPartition(topic.name, number) for number in range(partitions)])
        return {place.partition: offset for place, offset in ends.items()}
    finally:
        await consumer.stop()


FAULTS = [Fault("deliveries: malformed records among good ones", among_good_ones)]
