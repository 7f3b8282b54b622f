"""The orchestrator wired as it runs, in this process, on the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from chassis.failpoints import utc_now
from chassis.settings import Settings, load_settings
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, WORK
from local_stack.broker.embedded import FETCH_WAIT_MS, EmbeddedBroker
from local_stack.wait import until
from messaging.producer import Producer
from messaging.records import Outgoing, key_of
from orchestrator.adapters import memory_adapters
from orchestrator.adapters.memory.ledger import MemoryDatabase, MemoryLedger
from orchestrator.adapters.memory.log import MemoryKafka
from orchestrator.app import create_app
from orchestrator.runs.aggregate import RUN
from testkit.kafka.memory_publisher import read
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.postgres.unreliable import execute
from testkit.runs.command_records import approve, executed, outgoing, prepared, start
from testkit.stack.orchestrators import Listener
from testkit.tally.aggregate import TALLY
from testkit.tally.messages import OpenTally
from testkit.tally.world import answer_of


@pytest.fixture
def settings(private_embedded: EmbeddedBroker, postgres_url: str) -> Settings:
    """Give the settings of an orchestrator on a broker and a database of its own."""
    return load_settings(
        kafka_bootstrap_servers=private_embedded.bootstrap,
        database_url=postgres_url,
        log_id=private_embedded.log_id,
        fetch_wait_ms=FETCH_WAIT_MS,
    )


@pytest_asyncio.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    """Run the application."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


async def test_nothing_connects_before_the_start() -> None:
    """Wiring alone needs neither Kafka nor PostgreSQL; what was never started is stopped all the same."""
    application = create_app(load_settings(kafka_bootstrap_servers="127.0.0.1:1"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/metrics")).status_code == 200


async def test_a_run_goes_through_on_the_embedded_broker(app: Starlette, settings: Settings) -> None:
    """From the command that starts it to its result, over real topics and a real ledger; ready when it takes commands."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:

        async def is_ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await until(is_ready, 20, "the orchestrator is ready")
        metrics = (await client.get("/metrics")).text
    assert "sayso_commands_total" in metrics
    run_id = uuid4()
    bootstrap = settings.kafka_bootstrap_servers
    producer = Producer(bootstrap, "test")
    await producer.start()
    async with Listener(bootstrap, EVENTS.name, WORK.name, OUTCOMES.name, COMMANDS.dead) as listener:
        story = [start(run_id, reply_to=1), prepared(run_id), approve(run_id, reply_to=2), executed(run_id, 5)]
        await asyncio.gather(*await producer.send_all(map(outgoing, story)))
        await until(lambda: len(listener.on(EVENTS.name)) == 7, 20, "the run completes")
        await until(lambda: len(listener.on(OUTCOMES.name)) == 2, 20, "the answers come")
        published = read(listener.heard)
    assert published.kinds(run_id)[-1] == "run-completed.v1"
    assert [published.answer(story[0].command_id), published.answer(story[2].command_id)] == ["accepted", "accepted"]
    assert {record.partition for record in listener.on(OUTCOMES.name)} == {1, 2}
    assert listener.on(COMMANDS.dead) == []
    await producer.stop()


async def test_the_same_wiring_runs_on_memory_alone() -> None:
    """Kafka and PostgreSQL are adapters: with both in memory, runs and tallies go their way, and a second start goes on with them."""
    kafka, database = MemoryKafka(), MemoryDatabase()
    run_id, tally_id = uuid4(), uuid4()
    opening = OpenTally(
        command_id=uuid4(), stream_id=tally_id, at=utc_now(), children=3, request=RunRequest(prompt="p")
    )
    first = create_app(aggregates=(RUN, TALLY), adapters=memory_adapters(kafka, database))
    async with (
        first.router.lifespan_context(first),
        httpx.AsyncClient(transport=httpx.ASGITransport(first), base_url="http://test") as client,
    ):

        async def is_ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await until(is_ready, 10, "the orchestrator is ready")
        kafka.append(outgoing(start(run_id)))
        kafka.append(Outgoing(TALLY.commands.name, key_of(tally_id), opening.model_dump_json().encode()))
        await until(lambda: len(kafka.records(WORK.name)) == 4, 10, "the run and the tally's children are ordered")
    second = create_app(aggregates=(RUN, TALLY), adapters=memory_adapters(kafka, database))
    async with second.router.lifespan_context(second):
        for order in kafka.records(WORK.name):
            answer = answer_of(order.value or b"", utc_now())
            kafka.append(Outgoing(COMMANDS.name, key_of(answer.run_id), answer.model_dump_json().encode()))
        tallies = MemoryLedger(database, kafka.log_id, TALLY)
        await until(lambda: bool(kafka.records(TALLY.events.name)), 10, "the tally's events are published")
        assert (await tallies.load([tally_id])).histories[tally_id][0].event.kind == "tally-opened.v1"
        await until(lambda: len(database.commits) > 6, 10, "the answers are taken in")


async def test_a_schema_of_a_newer_version_ends_the_process_with_its_reason(settings: Settings) -> None:
    """An old orchestrator does not work on tables that it does not know."""
    await make_ledger_tables(settings.database_url.get_secret_value())
    await execute(settings.database_url.get_secret_value(), "UPDATE ledger.schema_version SET version_num = '9999'")
    application = create_app(settings)
    background = application.state.background
    background._on_failure = lambda: None
    async with application.router.lifespan_context(application):
        await until(lambda: background.failure is not None, 20, "it gives up")
    assert "schema ledger is at 9999" in str(background.failure)
