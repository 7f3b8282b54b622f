"""Orchestrators as processes on a real Kafka and a real PostgreSQL that come and go: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from apache_kafka.broker import RealKafka
from contracts.providers.orders import parse_order
from contracts.runs.commands import Command
from contracts.runs.run_event import RunEvent
from contracts.topics import COMMANDS, EVENTS, WORK
from local_stack.postgres.server import Postgres
from local_stack.wait import until
from messaging.admin import log_identity
from messaging.offset_committer import OffsetCommitter
from messaging.producer import Producer
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.intake.intake import Intake
from orchestrator.runs.aggregate import RUN
from testkit.kafka.memory_publisher import MemoryPublisher
from testkit.kafka.partitions import partitions_of
from testkit.postgres.unreliable import execute
from testkit.processes import restartable
from testkit.runs.command_records import Log, outgoing, prepared, start
from testkit.stack.orchestrators import Listener, Orchestrator, loading, under_load

MakeOrchestrator = Callable[..., Orchestrator]


@pytest_asyncio.fixture
async def make_orchestrator(
    restartable_kafka: RealKafka, restartable_url: str, tmp_path: Path
) -> AsyncIterator[MakeOrchestrator]:
    """Make orchestrators of one group on one database; those that still run are stopped in order."""
    made: list[Orchestrator] = []

    def make(**settings: str) -> Orchestrator:
        made.append(Orchestrator(tmp_path, restartable_kafka.bootstrap, restartable_url, settings))
        return made[-1]

    yield make
    for orchestrator in made:
        await orchestrator.process.stop(10)


async def test_partitions_change_hands_under_load(
    make_orchestrator: MakeOrchestrator, restartable_kafka: RealKafka, restartable_url: str
) -> None:
    """One of two is stopped and ends with 0, a third joins, the second is killed: every command has exactly one effect."""
    one, two, three = (make_orchestrator() for _ in range(3))
    await asyncio.gather(one.start(), two.start())
    async with under_load(restartable_kafka.bootstrap, restartable_url) as load:
        await load.more()
        one.ask_to_stop()
        assert await one.ends() == 0
        await load.more()
        await three.start()
        await load.more()
        two.process.kill()
        await load.more()
    three.ask_to_stop()
    assert await three.ends() == 0
    assert "Traceback" not in one.said + two.said + three.said


async def test_what_comes_back_is_used_again_and_time_runs_on(
    make_orchestrator: MakeOrchestrator,
    restartable_kafka: RealKafka,
    restartable_postgres: Postgres,
    restartable_url: str,
) -> None:
    """PostgreSQL and Kafka are killed under load; the same process goes on with both, and its clock too."""
    orchestrator = make_orchestrator()
    await orchestrator.start()
    async with under_load(restartable_kafka.bootstrap, restartable_url) as load:
        await load.more()
        restartable_postgres.kill()
        await until(lambda: orchestrator.health(503), 10, "it says that it is not ready")
        await restartable_postgres.start()
        await orchestrator.ready()
        restartable_kafka.kill()
        await until(lambda: orchestrator.health(503), 10, "it says that it is not ready")
        await restartable_kafka.start()
        await orchestrator.ready()
    expiring, leased = uuid4(), uuid4()
    async with Listener(restartable_kafka.bootstrap, EVENTS.name, WORK.name) as listener:
        await send(
            restartable_kafka.bootstrap,
            start(expiring, hitl={"timeout_seconds": 0.2, "on_timeout": "fail"}),
            prepared(expiring),
            start(leased, hitl={"lease_seconds": 1}),
        )
        await until(lambda: "run-failed.v1" in kinds(listener, expiring), 10, "the checkpoint expires")
        await until(lambda: attempts(listener, leased) == [1, 2], 10, "the work is ordered again")
    assert kinds(listener, expiring)[-2:] == ["checkpoint-expired.v1", "run-failed.v1"]
    assert kinds(listener, leased)[:3] == ["run-started.v1", "preparation-failed.v1", "retry-scheduled.v1"]
    assert "the ledger is unavailable, holding the batch" in orchestrator.said
    assert "the ledger is back" in orchestrator.said
    assert "Traceback" not in orchestrator.said


async def test_another_log_is_not_mistaken_for_ours_and_a_new_one_gets_what_is_awaited(
    make_orchestrator: MakeOrchestrator, restartable_kafka: RealKafka, restartable_url: str
) -> None:
    """A position beyond the log's end stops the start with one line and touches nothing. Under a new name the log is told what
    open runs await, and the commands that lay in it are taken. A ledger that breaks ends the process with 1.
    """  # noqa: D205 - one story
    await at_position(restartable_url, await log_identity(restartable_kafka.bootstrap), 1_000_000)
    waiting, fresh = uuid4(), [uuid4() for _ in range(12)]
    published = await decided_before(restartable_url, waiting)
    await send(restartable_kafka.bootstrap, *map(start, fresh))
    before = await committed(restartable_kafka.bootstrap)
    wrong = make_orchestrator()
    wrong.process.start()
    assert await wrong.ends(20) == 1
    assert wrong.said.count("SAYSO_LOG_ID") == 1
    assert "Traceback" not in wrong.said
    assert await committed(restartable_kafka.bootstrap) == before
    renamed = make_orchestrator(SAYSO_LOG_ID="another")
    async with Listener(restartable_kafka.bootstrap, EVENTS.name, WORK.name) as listener:
        await renamed.start()
        await until(lambda: all(kinds(listener, run_id) for run_id in fresh), 10, "the commands are taken")
        await until(lambda: attempts(listener, waiting) == [1], 10, "the order is given again")
    again = [record.value for record in listener.on(EVENTS.name) if RunEvent.parse(record.value).run_id == waiting]
    assert again == published
    await execute(restartable_url, "DROP TABLE ledger.refusals")
    await send(restartable_kafka.bootstrap, start())
    assert await renamed.ends() == 1
    assert "ending" in renamed.said


async def test_neither_a_stop_nor_a_start_depends_on_who_is_away(
    make_orchestrator: MakeOrchestrator,
    restartable_kafka: RealKafka,
    restartable_postgres: Postgres,
    restartable_url: str,
) -> None:
    """SIGTERM under load ends with 0 in time when Kafka and PostgreSQL hang, and when they are dead. A process that starts then
    says what it waits for, begins when they come, and ends with 0 when told to, at any time.
    """  # noqa: D205 - one story
    hanging, orphaned, waiting, beginning = (make_orchestrator() for _ in range(4))
    await asyncio.gather(hanging.start(), orphaned.start())
    async with loading(restartable_kafka.bootstrap) as load:
        await load.more()
        restartable_kafka.pause()
        restartable.pause(restartable_postgres)
        try:
            hanging.ask_to_stop()
            assert await hanging.ends() == 0
        finally:
            restartable.resume(restartable_postgres)
            restartable_postgres.kill()
            restartable_kafka.kill()
        try:
            for starting in (waiting, beginning):
                starting.process.start()
            orphaned.ask_to_stop()
            assert await orphaned.ends() == 0
            await until(lambda: says(waiting, "to=Kafka") and says(beginning, "to=Kafka"), 20, "they wait for Kafka")
            waiting.ask_to_stop()
            assert await waiting.ends() == 0
            await restartable_kafka.start()
            await until(lambda: says(beginning, "to=PostgreSQL"), 20, "it waits for PostgreSQL")
        finally:
            await asyncio.gather(
                restartable_postgres.start(), *([] if restartable_kafka.alive else [restartable_kafka.start()])
            )
    await until(lambda: is_there(restartable_url, "ledger.intake"), 20, "it begins")
    beginning.ask_to_stop()
    assert await beginning.ends() == 0
    assert "Traceback" not in hanging.said + orphaned.said + waiting.said + beginning.said


async def is_there(url: str, table: str) -> bool:
    """Tell whether a table was made."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT to_regclass($1)", table) is not None
    finally:
        await connection.close()


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
    partitions = await partitions_of(bootstrap, [COMMANDS.name])
    places = [TopicPartition(COMMANDS.name, number) for number in range(partitions[COMMANDS.name])]
    consumer.assign(places)
    found = [await consumer.committed(place) for place in places]
    await consumer.stop()
    return found


async def at_position(url: str, log_id: str, position: int) -> None:
    """Let the ledger stand somewhere in a log."""
    ledger = PostgresLedger(url, log_id, RUN)
    await ledger.migrate()
    await ledger.close()
    await execute(
        url,
        "INSERT INTO ledger.intake (log_id, topic, partition, position) SELECT $1, 'run.commands', p, $2 FROM generate_series(0, 3) AS p",
        log_id,
        position,
    )


async def decided_before(url: str, run_id: UUID) -> list[bytes | None]:
    """Leave an open run in the ledger, decided from a log that is gone; return its events as they were published."""
    ledger, publisher = PostgresLedger(url, "gone", RUN), MemoryPublisher()

    async def commit(offsets: Mapping[int, int]) -> None:
        """Confirm nothing: the log is gone."""

    intake = Intake(RUN, ledger, publisher, OffsetCommitter(commit), lambda: datetime.now(UTC))
    await intake.on_records(Log().write(start(run_id)))
    await ledger.close()
    return [record.value for record in publisher.take().on(EVENTS.name)]
