"""A real worker in this process, a fake OpenAI over HTTP, an ear on Kafka's topics, and the orders to give."""

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

HEAR_SECONDS = 60.0
KEY = "sk-test-very-secret-key"


class Ear:
    """Hears what workers say on `run.commands`, from the moment it was made."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._heard: list[AnyCommand] = []
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        """Hear for ever."""
        async for record in self._consumer:
            with contextlib.suppress(ValueError):
                command = parse_command(record.value)
                async with self._changed:
                    self._heard.append(command)
                    self._changed.notify_all()

    def about(self, order: Order) -> list[Any]:
        """Return the answers to an order so far, in order."""
        return [command for command in self._heard if command.run_id == order.run_id]

    async def hear(self, order: Order, kind: str, number: int = 1) -> list[Any]:
        """Return the commands of a kind about an order, once there are `number` of them."""
        return await self.until(lambda: [said for said in self.about(order) if said.kind == kind], number)

    async def answer(self, order: Order) -> Any:
        """Return the order's answer."""
        return (await self.until(lambda: [said for said in self.about(order) if said.kind.startswith("record-")], 1))[0]

    async def until(self, found: Callable[[], list[Any]], number: int) -> list[Any]:
        """Return what `found` finds once it is `number` of them."""
        async with asyncio.timeout(HEAR_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= number)
            return found()


@dataclass
class Floor:
    """A Kafka with an ear on it and a way to order work."""

    bootstrap: str
    producer: Producer
    ear: Ear

    async def order(self, *orders: Order) -> None:
        """Publish orders as the orchestrator does."""
        records = [
            Outgoing(WORK.name, str(order.run_id).encode(), order.model_dump_json().encode()) for order in orders
        ]
        await asyncio.gather(*await self.producer.send_all(records))


@contextlib.asynccontextmanager
async def floor_on(bootstrap: str) -> AsyncIterator[Floor]:
    """Listen on a Kafka."""
    consumer = AIOKafkaConsumer(COMMANDS.name, bootstrap_servers=bootstrap, fetch_max_wait_ms=25)
    producer = Producer(bootstrap, "test")
    await consumer.start()
    await producer.start()
    for partition in consumer.assignment():
        await consumer.position(partition)
    ear = Ear(consumer)
    listening = asyncio.create_task(ear.listen())
    try:
        yield Floor(bootstrap, producer, ear)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await consumer.stop()
        await producer.stop()


@dataclass
class Workshop:
    """A worker that runs in this process, and its HTTP side."""

    app: Starlette
    http: httpx2.AsyncClient

    async def health(self) -> dict[str, Any]:
        """Return what readiness says."""
        answer: dict[str, Any] = (await self.http.get("/health/ready")).json()
        return answer

    async def until_ready(self) -> None:
        """Return once the worker takes orders."""
        async with asyncio.timeout(HEAR_SECONDS):
            while (await self.health())["status"] != "ready":  # noqa: ASYNC110 - health is asked over HTTP
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def worker_on(bootstrap: str, database_url: str, **settings: Any) -> AsyncIterator[Workshop]:
    """Run a worker."""
    app = create_app(
        Settings(
            _env_file=None, kafka_bootstrap_servers=bootstrap, database_url=database_url, fetch_wait_ms=25, **settings
        )
    )
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://worker") as http:
            yield Workshop(app, http)
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
