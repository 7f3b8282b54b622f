"""A real worker in this process, and a Kafka with a listener on its answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from aiokafka import AIOKafkaConsumer
from starlette.applications import Starlette

from chassis.settings import Settings
from contracts.providers.orders import Order
from contracts.runs.commands import AnyCommand, parse_command
from contracts.topics import COMMANDS, WORK
from messaging.producer import Producer
from messaging.records import Outgoing
from provider_worker.app import create_app

ANSWER_SECONDS = 60.0
KEY = "sk-test-very-secret-key"


class AnswerListener:
    """Collects workers' answers on `run.commands`, from the moment it was made."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._commands: list[AnyCommand] = []
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        """Collect for ever."""
        async for record in self._consumer:
            with contextlib.suppress(ValueError):
                command = parse_command(record.value)
                async with self._changed:
                    self._commands.append(command)
                    self._changed.notify_all()

    def about(self, order: Order) -> list[Any]:
        """Return the answers to an order so far, in order."""
        return [command for command in self._commands if command.run_id == order.run_id]

    async def of_kind(self, order: Order, kind: str, number: int = 1) -> list[Any]:
        """Return the commands of a kind about an order, once there are `number` of them."""
        return await self.until(lambda: [said for said in self.about(order) if said.kind == kind], number)

    async def answer(self, order: Order) -> Any:
        """Return the order's answer."""
        return (await self.until(lambda: [said for said in self.about(order) if said.kind.startswith("record-")], 1))[0]

    async def until(self, found: Callable[[], list[Any]], number: int) -> list[Any]:
        """Return the commands of `found` once there are `number` of them."""
        async with asyncio.timeout(ANSWER_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= number)
            return found()


@dataclass
class KafkaBench:
    """A Kafka with a listener on workers' answers and a way to publish orders."""

    bootstrap: str
    producer: Producer
    answers: AnswerListener

    async def order(self, *orders: Order) -> None:
        """Publish orders as the orchestrator does."""
        records = [
            Outgoing(WORK.name, str(order.run_id).encode(), order.model_dump_json().encode()) for order in orders
        ]
        await asyncio.gather(*await self.producer.send_all(records))


@contextlib.asynccontextmanager
async def kafka_bench_on(bootstrap: str) -> AsyncIterator[KafkaBench]:
    """Listen on a Kafka."""
    consumer = AIOKafkaConsumer(COMMANDS.name, bootstrap_servers=bootstrap, fetch_max_wait_ms=25)
    producer = Producer(bootstrap, "test")
    await consumer.start()
    await producer.start()
    for partition in consumer.assignment():
        await consumer.position(partition)
    listener = AnswerListener(consumer)
    listening = asyncio.create_task(listener.listen())
    try:
        yield KafkaBench(bootstrap, producer, listener)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await consumer.stop()
        await producer.stop()


@dataclass
class RunningWorker:
    """A worker that runs in this process, and its HTTP side."""

    app: Starlette
    http: httpx2.AsyncClient

    async def health(self) -> dict[str, Any]:
        """Return the answer of readiness."""
        answer: dict[str, Any] = (await self.http.get("/health/ready")).json()
        return answer

    async def until_ready(self) -> None:
        """Return once the worker takes orders."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while (await self.health())["status"] != "ready":  # noqa: ASYNC110 - health is asked over HTTP
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def worker_on(bootstrap: str, database_url: str, **settings: Any) -> AsyncIterator[RunningWorker]:
    """Run a worker."""
    app = create_app(
        Settings(
            _env_file=None, kafka_bootstrap_servers=bootstrap, database_url=database_url, fetch_wait_ms=25, **settings
        )
    )
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://worker") as http:
            yield RunningWorker(app, http)
    assert app.state.background.failure is None


@contextlib.asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a free port of loopback."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment] # pytest's own stay in place
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
