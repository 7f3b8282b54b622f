"""Orchestrators as processes on a real Kafka and a real PostgreSQL that come and go: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from apache_kafka.broker import RealKafka
from contracts.kafka import Confirming, Producer, log_identity
from contracts.runs.commands import Command
from contracts.runs.events import RunEvent
from contracts.topics import COMMANDS, EVENTS, WORK
from contracts.work import parse_order
from local_stack.postgres import Postgres
from local_stack.waiting import until
from orchestrator.adapters.ledger import PostgresLedger
from orchestrator.intake import Intake
from support import mortal
from support.commanding import Log, outgoing, prepared, start
from support.ledgers import execute
from support.orchestrators import Listener, Orchestrator, loading, under_load
from support.publishing import MemoryPublisher

MakeOrchestrator = Callable[..., Orchestrator]


@pytest_asyncio.fixture
async def make_orchestrator(
    mortal_kafka: RealKafka, mortal_url: str, tmp_path: Path
) -> AsyncIterator[MakeOrchestrator]:
    """Make orchestrators of one group on one database; those that still run are stopped in order."""
    made: list[Orchestrator] = []

    def make(**settings: str) -> Orchestrator:
        made.append(Orchestrator(tmp_path, mortal_kafka.bootstrap, mortal_url, settings))
        return made[-1]

    yield make
    for orchestrator in made:
        await orchestrator.process.stop(10)


async def test_two_share_the_work_and_one_takes_over_when_the_other_is_killed(
    make_orchestrator: MakeOrchestrator, mortal_kafka: RealKafka, mortal_url: str
) -> None:
    """Partitions change hands under load, in order and without a word: every command has exactly one effect."""
    one, other = make_orchestrator(), make_orchestrator()
    await one.start()
    async with under_load(mortal_kafka.bootstrap, mortal_url) as load:
        await load.more()
        await other.start()
        await load.more()
        one.process.kill()
        await load.more()
    other.ask_to_stop()
    assert await other.ends() == 0


async def test_a_stop_under_load_is_clean_and_the_next_one_goes_on(
    make_orchestrator: MakeOrchestrator, mortal_kafka: RealKafka, mortal_url: str
) -> None:
    """SIGTERM ends with 0 and leaves the group at once; what lay there meanwhile is taken by the next process."""
    first, second = make_orchestrator(), make_orchestrator()
    await first.start()
    async with under_load(mortal_kafka.bootstrap, mortal_url) as load:
        await load.more()
        first.ask_to_stop()
        assert await first.ends() == 0
        await second.start()


async def test_what_comes_back_is_used_again_and_time_runs_on(
    make_orchestrator: MakeOrchestrator, mortal_kafka: RealKafka, mortal_postgres: Postgres, mortal_url: str
) -> None:
    """PostgreSQL and Kafka are killed under load; the same process goes on with both, and its clock too."""
    orchestrator = make_orchestrator()
    await orchestrator.start()
    async with under_load(mortal_kafka.bootstrap, mortal_url) as load:
        await load.more()
        mortal_postgres.kill()
        await until(lambda: orchestrator.health(503), 10, "it says that it is not ready")
        await mortal_postgres.start()
        await orchestrator.ready()
        mortal_kafka.kill()
        await until(lambda: orchestrator.health(503), 10, "it says that it is not ready")
        await mortal_kafka.start()
        await orchestrator.ready()
    expiring, leased = uuid4(), uuid4()
    async with Listener(mortal_kafka.bootstrap, EVENTS.name, WORK.name) as listener:
        await send(
            mortal_kafka.bootstrap,
            start(expiring, hitl={"timeout_seconds": 0.2, "on_timeout": "fail"}),
            prepared(expiring),
            start(leased, hitl={"lease_seconds": 1}),
        )
        await until(lambda: "run-failed.v1" in kinds(listener, expiring), 10, "the checkpoint expires")
        await until(lambda: attempts(listener, leased) == [1, 2], 10, "the work is ordered again")
    assert kinds(listener, expiring)[-2:] == ["checkpoint-expired.v1", "run-failed.v1"]
    assert kinds(listener, leased)[:3] == ["run-started.v1", "preparation-failed.v1", "retry-scheduled.v1"]
    assert "the ledger is away, holding the batch" in orchestrator.said
    assert "the ledger is back" in orchestrator.said
    assert "Traceback" not in orchestrator.said


async def test_another_log_is_not_mistaken_for_ours_and_a_new_one_gets_what_is_awaited(
    make_orchestrator: MakeOrchestrator, mortal_kafka: RealKafka, mortal_url: str
) -> None:
    """A position beyond the log's end stops the start with one line and touches nothing. Under a new name the log is told what
    open runs await, and the commands that lay in it are taken. A ledger that breaks ends the process with 1.
    """  # noqa: D205 - one story
    await at_position(mortal_url, await log_identity(mortal_kafka.bootstrap), 1_000_000)
    waiting, fresh = uuid4(), uuid4()
    published = await decided_before(mortal_url, waiting)
    await send(mortal_kafka.bootstrap, start(fresh))
    before = await committed(mortal_kafka.bootstrap)
    wrong = make_orchestrator()
    wrong.process.start()
    assert await wrong.ends(20) == 1
    assert wrong.said.count("COUNTERSIGN_LOG_ID") == 1
    assert "Traceback" not in wrong.said
    assert await committed(mortal_kafka.bootstrap) == before
    renamed = make_orchestrator(COUNTERSIGN_LOG_ID="another")
    async with Listener(mortal_kafka.bootstrap, EVENTS.name, WORK.name) as listener:
        await renamed.start()
        await until(lambda: kinds(listener, fresh) == ["run-started.v1"], 10, "the command is taken")
        await until(lambda: attempts(listener, waiting) == [1], 10, "the order is given again")
    again = [record.value for record in listener.on(EVENTS.name) if RunEvent.parse(record.value).run_id == waiting]
    assert again == published
    await execute(mortal_url, "DROP TABLE ledger.refusals")
    await send(mortal_kafka.bootstrap, start())
    assert await renamed.ends() == 1
    assert "ending" in renamed.said


async def test_a_start_waits_for_whoever_is_away_and_can_be_stopped_meanwhile(
    make_orchestrator: MakeOrchestrator, mortal_kafka: RealKafka, mortal_postgres: Postgres
) -> None:
    """A process says what it waits for, begins when Kafka and then PostgreSQL come, and ends with 0 when told to."""
    waiting, beginning = make_orchestrator(), make_orchestrator()
    mortal_kafka.kill()
    mortal_postgres.kill()
    try:
        for orchestrator in (waiting, beginning):
            orchestrator.process.start()
        await until(lambda: says(beginning, "to=Kafka") and says(waiting, "to=Kafka"), 20, "they wait for Kafka")
        waiting.ask_to_stop()
        assert await waiting.ends() == 0
        await mortal_kafka.start()
        await until(lambda: says(beginning, "to=PostgreSQL"), 20, "it waits for PostgreSQL")
    finally:
        await mortal_postgres.start()
    await beginning.ready()
    assert "Traceback" not in waiting.said + beginning.said


async def test_a_stop_waits_for_nobody_who_hangs_or_is_gone(
    make_orchestrator: MakeOrchestrator, mortal_kafka: RealKafka, mortal_postgres: Postgres
) -> None:
    """With Kafka and PostgreSQL connected and silent, or dead, SIGTERM under load still ends with 0 in time."""
    one, other = make_orchestrator(), make_orchestrator()
    await asyncio.gather(one.start(), other.start())
    async with loading(mortal_kafka.bootstrap) as load:
        await load.more()
        mortal_kafka.pause()
        mortal.pause(mortal_postgres)
        try:
            one.ask_to_stop()
            assert await one.ends() == 0
        finally:
            mortal.resume(mortal_postgres)
            mortal_postgres.kill()
            mortal_kafka.kill()
        try:
            other.ask_to_stop()
            assert await other.ends() == 0
        finally:
            await asyncio.gather(mortal_postgres.start(), mortal_kafka.start())
    assert "Traceback" not in one.said + other.said


def says(orchestrator: Orchestrator, words: str) -> bool:
    """Tell whether an orchestrator that runs has said `words`."""
    assert orchestrator.process.alive, orchestrator.said
    return words in orchestrator.said


async def send(bootstrap: str, *commands: Command) -> None:
    """Send commands and wait until Kafka has them."""
    producer = Producer(bootstrap, "test")
    await producer.start()
    await asyncio.gather(*await producer.send_all(map(outgoing, commands)))
    await producer.stop()


def kinds(listener: Listener, run_id: UUID) -> list[str]:
    """Return the kinds of a run's events, in order."""
    events = [RunEvent.parse(record.value) for record in listener.on(EVENTS.name)]
    return [event.kind for event in events if event.run_id == run_id]


def attempts(listener: Listener, run_id: UUID) -> list[int]:
    """Return the attempts that were ordered for a run."""
    orders = [parse_order(record.value) for record in listener.on(WORK.name)]
    return [order.attempt for order in orders if order.run_id == run_id]


async def committed(bootstrap: str) -> list[int | None]:
    """Return how far the group has confirmed each partition of the commands."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id="orchestrator", enable_auto_commit=False)
    await consumer.start()
    places = [TopicPartition(COMMANDS.name, number) for number in range(COMMANDS.partitions)]
    consumer.assign(places)
    found = [await consumer.committed(place) for place in places]
    await consumer.stop()
    return found


async def at_position(url: str, log_id: str, position: int) -> None:
    """Let the ledger stand somewhere in a log."""
    ledger = PostgresLedger(url, log_id)
    await ledger.create_tables()
    await ledger.close()
    await execute(url, "INSERT INTO ledger.intake VALUES ($1, 0, $2)", log_id, position)


async def decided_before(url: str, run_id: UUID) -> list[bytes | None]:
    """Leave an open run in the ledger, decided from a log that is gone; return its events as they were published."""
    ledger, publisher = PostgresLedger(url, "gone"), MemoryPublisher()

    async def commit(offsets: Mapping[int, int]) -> None:
        """Confirm nothing: the log is gone."""

    intake = Intake(ledger, publisher, Confirming(commit), lambda: datetime.now(UTC))
    await intake.on_records(Log().write(start(run_id)))
    await ledger.close()
    return [record.value for record in publisher.take().on(EVENTS.name)]
