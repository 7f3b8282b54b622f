"""The notifier with what stands around it: a real Kafka, a gateway in memory, somebody who publishes and answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from starlette.applications import Starlette

from chassis.settings import Settings
from contracts.runs.commands import AnyCommand, parse_command
from contracts.runs.outcomes import Outcome
from contracts.runs.run_event import RunEvent
from contracts.topics import COMMANDS, EVENTS
from messaging.consumer import create_broker, subscribe_partitions
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord
from notifier.app import create_app
from notifier.edges.websocket_protocol import JoiningWebSocket
from notifier.hub.client import Limits
from notifier.testing.gateway import MemoryGateway
from orchestrator.intake.command_batch import outcome_records
from testkit.stack.user import WatchSocket, until


@contextlib.asynccontextmanager
async def serving(app: Starlette, **config: Any) -> AsyncIterator[str]:
    """Serve an application on a free port of loopback, as the chassis would."""
    given = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": 1, **config}
    server = uvicorn.Server(uvicorn.Config(app, port=0, **given))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment] # pytest's own stay in place
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        if (background := getattr(app.state, "background", None)) is not None:
            background.stopping()
        server.should_exit = True
        await running


class Window(WatchSocket):
    """A connection over which one can say anything."""

    async def send(self, message: str | bytes) -> None:
        """Send a frame as it is."""
        assert self._socket is not None
        await self._socket.send(message)


@dataclass
class Tower:
    """One running notifier."""

    address: str
    http: httpx.AsyncClient
    app: Starlette

    @property
    def ws_url(self) -> str:
        """The address of its WebSocket."""
        return f"ws://{self.address}/ws"

    def watch(self, **query: str) -> Window:
        """Watch over the WebSocket."""
        return Window(self.ws_url, query)

    async def readiness(self) -> dict[str, str]:
        """Return what each check says."""
        return dict((await self.http.get("/health/ready")).json()["checks"])

    async def metric(self, name: str) -> float:
        """Return a sample of its metrics by name and labels, 0 where there is none yet."""
        lines = (await self.http.get("/metrics")).text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    async def until_ready(self) -> None:
        """Wait until every check is well."""

        async def ready() -> bool | None:
            return (await self.http.get("/health/ready")).status_code == 200 or None

        await until(ready, lambda: self.http.get("/health/ready"))


@contextlib.asynccontextmanager
async def tower(
    bootstrap: str, gateway_url: str, limits: Limits | None = None, *, wait: bool = True, **settings: Any
) -> AsyncIterator[Tower]:
    """Run a notifier, and wait until it is ready."""
    app = create_app(
        Settings(
            _env_file=None, kafka_bootstrap_servers=bootstrap, gateway_url=gateway_url, fetch_wait_ms=25, **settings
        ),
        limits,
    )
    largest = settings.get("max_body_bytes", 256 * 1024)
    async with (
        serving(app, ws=JoiningWebSocket, ws_max_size=largest, ws_per_message_deflate=False) as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False) as http,
    ):
        running = Tower(address, http, app)
        if wait:
            await running.until_ready()
        yield running
    assert app.state.background.failure is None


@dataclass
class Press:
    """Publishes events as the orchestrator does; the gateway learns them when it is told to."""

    producer: Producer
    gateway: MemoryGateway

    async def publish(self, *events: RunEvent | bytes, learn: bool = True) -> None:
        """Publish events or raw values, and let the read model have them too unless it is to lag."""
        values = [event if isinstance(event, bytes) else event.to_bytes() for event in events]
        if learn:
            self.gateway.learn(*values)
        keys = [event.run_id.bytes if isinstance(event, RunEvent) else b"?" for event in events]
        records = [Outgoing(EVENTS.name, key.hex().encode(), value) for key, value in zip(keys, values, strict=True)]
        for sent in await self.producer.send_all(records):
            await sent


def updates(messages: Sequence[dict[str, Any]], run_id: object) -> list[int]:
    """Return the versions of a run that were told."""
    return [m["version"] for m in messages if m["type"] == "HITL_STATUS_UPDATE" and m["run_id"] == str(run_id)]


async def through(watching: WatchSocket, event: RunEvent) -> list[dict[str, Any]]:
    """Listen up to an event; return all that was said on this connection."""
    await watching.until("HITL_STATUS_UPDATE", run_id=str(event.run_id), version=event.version)
    return watching.seen


Answer = Callable[[AnyCommand], Outcome | None]


@dataclass
class Core:
    """Takes commands about the runs it is told of, and answers as it is told; None is silence."""

    producer: Producer
    answers: dict[UUID, Answer] = field(default_factory=dict)
    taken: list[AnyCommand] = field(default_factory=list)

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Answer a batch of commands."""
        for record in records:
            with contextlib.suppress(ValueError):
                command = parse_command(record.value or b"")
                if command.run_id in self.answers:
                    self.taken.append(command)
                    outcome = self.answers[command.run_id](command)
                    await self.producer.send_all(outcome_records(command, outcome) if outcome else [])


@contextlib.asynccontextmanager
async def core(bootstrap: str, producer: Producer) -> AsyncIterator[Core]:
    """Listen for commands from now on."""
    answering, broker = Core(producer), create_broker(bootstrap, "core")
    subscriber = subscribe_partitions(
        broker, COMMANDS, range(COMMANDS.partitions), answering.on_records, fetch_wait_ms=25
    )
    await broker.start()
    assert subscriber.consumer is not None
    for partition in subscriber.consumer.assignment():
        await subscriber.consumer.position(partition)
    yield answering
    await broker.stop()
