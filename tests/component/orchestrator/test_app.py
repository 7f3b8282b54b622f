"""The orchestrator wired as it runs, in this process, on the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from chassis.settings import Settings, load_settings
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, WORK
from local_stack.broker.embedded import FETCH_WAIT_MS, EmbeddedBroker
from local_stack.wait import until
from messaging.producer import Producer
from orchestrator.app import create_app
from testkit.kafka.memory_publisher import read
from testkit.runs.command_records import approve, executed, outgoing, prepared, start
from testkit.stack.orchestrators import Listener


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
