"""Notices on Apache Kafka and PostgreSQL: orchestrators are killed at every place, partitions are added, and every child is counted once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from apache_kafka.broker import RealKafka
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS, EVENTS, HOUR, WORK, Topic
from local_stack.wait import until
from messaging.admin import ensure_topics, log_identity
from messaging.producer import Producer
from messaging.records import Outgoing, key_of
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.runs.aggregate import RUN
from testkit.kafka.partitions import add_partitions, partitions_of
from testkit.stack.orchestrators import Orchestrator
from testkit.tally import messages as m
from testkit.tally.aggregate import TALLY
from testkit.tally.rules import fold
from testkit.tally.world import answer_of, check_tally

pytestmark = pytest.mark.timeout(300)

PLACES = {"intake.appending": 5, "intake.appended": 6, "intake.handed-over": 7, "intake.acknowledged": 2}
"""Where an orchestrator is killed, and at which passing. All places of a batch are passed in `test_notices.py`."""

CHILDREN = 9

GROWING = (COMMANDS.name, EVENTS.name, WORK.name, m.COMMANDS.name, m.EVENTS.name)

MakeOrchestrator = Callable[[str], Orchestrator]


@pytest_asyncio.fixture
async def kafka(private_kafka: RealKafka) -> RealKafka:
    """Give an Apache Kafka of the test's own, with all topics and those of tallies."""
    dead = Topic(m.COMMANDS.dead, 1, HOUR, "malformed commands of tallies")
    await ensure_topics(private_kafka.bootstrap, topics=[m.COMMANDS, m.EVENTS, dead])
    return private_kafka


@pytest_asyncio.fixture
async def make_orchestrator(kafka: RealKafka, postgres_url: str, tmp_path: Path) -> AsyncIterator[MakeOrchestrator]:
    """Make orchestrators that host runs and tallies; those that still run are stopped in order."""
    made: list[Orchestrator] = []

    def make(failpoints: str = "") -> Orchestrator:
        settings = {"SAYSO_FAILPOINTS": failpoints} if failpoints else {}
        made.append(Orchestrator(tmp_path, kafka.bootstrap, postgres_url, settings, "testkit.tally"))
        return made[-1]

    yield make
    for orchestrator in made:
        await orchestrator.process.stop(10)


@contextlib.asynccontextmanager
async def working(bootstrap: str) -> AsyncIterator[Producer]:
    """Carry out orders as a worker does; yield a producer."""
    producer, consumer = Producer(bootstrap, "test"), AIOKafkaConsumer(WORK.name, bootstrap_servers=bootstrap)
    await producer.start()
    await consumer.start()

    async def work() -> None:
        async for record in consumer:
            answer = answer_of(record.value, datetime.now(UTC))
            await producer.send(Outgoing(COMMANDS.name, key_of(answer.run_id), answer.model_dump_json().encode()))

    task = asyncio.create_task(work())
    try:
        yield producer
    finally:
        task.cancel()
        await asyncio.wait([task])
        await consumer.stop()
        await producer.stop()


async def open_tally(producer: Producer) -> UUID:
    """Ask for a tally that asks its open children again every second."""
    opening = m.OpenTally(
        command_id=uuid4(),
        stream_id=uuid4(),
        at=datetime.now(UTC),
        children=CHILDREN,
        request=RunRequest(prompt="p"),
        patience_seconds=1,
    )
    await producer.send(Outgoing(m.COMMANDS.name, key_of(opening.stream_id), opening.model_dump_json().encode()))
    return opening.stream_id


@contextlib.asynccontextmanager
async def ledgers(kafka: RealKafka, url: str) -> AsyncIterator[tuple[PostgresLedger, PostgresLedger]]:
    """Open the ledgers of tallies and of runs."""
    log_id = await log_identity(kafka.bootstrap)
    tallies, runs = PostgresLedger(url, log_id, TALLY), PostgresLedger(url, log_id, RUN)
    try:
        yield tallies, runs
    finally:
        await tallies.close()
        await runs.close()


async def closed(tallies: PostgresLedger, *tally_ids: UUID) -> None:
    """Return when all these tallies are closed."""

    async def are_closed() -> bool:
        histories = (await tallies.load(tally_ids)).histories
        states = [fold(one.event for one in histories.get(tally_id, ())) for tally_id in tally_ids]  # type: ignore[misc]
        return all(state is not None and state.closed for state in states)

    await until(are_closed, 60, "the tallies are closed")


async def test_killed_at_every_place_an_orchestrator_loses_no_notice(
    make_orchestrator: MakeOrchestrator, kafka: RealKafka, postgres_url: str
) -> None:
    """One after the other dies in the middle of a tally, each at another place of a batch; the next one goes on."""
    async with working(kafka.bootstrap) as producer:
        opened: list[UUID] = []
        for place, passing in PLACES.items():
            orchestrator = make_orchestrator(f"{place}=kill@{passing}")
            orchestrator.process.start()
            opened.append(await open_tally(producer))
            await until(lambda dying=orchestrator: not dying.process.alive, 60, f"it dies at {place}")  # type: ignore[misc]
        last = make_orchestrator("")
        await last.start()
        async with ledgers(kafka, postgres_url) as (tallies, runs):
            await closed(tallies, *opened)
            for tally_id in opened:
                await check_tally(tallies, runs, tally_id)
    assert "Traceback" not in last.said


async def test_partitions_that_are_added_move_no_running_aggregate(
    make_orchestrator: MakeOrchestrator, kafka: RealKafka, postgres_url: str
) -> None:
    """Runs and tallies that began before go on where they are, for services that were there and for those that come."""
    before = make_orchestrator("")
    await before.start()
    async with ledgers(kafka, postgres_url) as (tallies, runs):
        async with working(kafka.bootstrap) as producer:
            opened = [await open_tally(producer)]
            await closed(tallies, *opened)
            first = await partitions_of(kafka.bootstrap, GROWING)
            await add_partitions(kafka.bootstrap, dict.fromkeys(GROWING, 7))
            opened.append(await open_tally(producer))
            await closed(tallies, *opened)
        before.ask_to_stop()
        assert await before.ends() == 0
        after = make_orchestrator("")
        await after.start()
        async with working(kafka.bootstrap) as producer:
            opened.append(await open_tally(producer))
            await closed(tallies, *opened)
        for tally_id in opened:
            await check_tally(tallies, runs, tally_id)
    for topic in GROWING:
        assert await partitions_used(kafka.bootstrap, topic) <= set(range(first[topic])), topic


async def partitions_used(bootstrap: str, topic: str) -> set[int]:
    """Return the partitions that hold records."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    places = consumer.assignment()
    assert len(places) == 7
    ends = await consumer.end_offsets(list(places))
    await consumer.stop()
    return {place.partition for place, end in ends.items() if end > 0}
