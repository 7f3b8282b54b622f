"""A running notifier with its surroundings: on memory adapters, or on a real Kafka and a gateway over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import uvicorn
from pydantic_core import to_json
from starlette.applications import Starlette

from chassis.failpoints import utc_now
from chassis.settings import Settings
from contracts.runs.commands import Command, parse_command
from contracts.runs.outcomes import Outcome
from contracts.runs.run_event import RunEvent
from contracts.topics import COMMANDS, EVENTS, PARTIALS
from messaging.consumer import create_broker, subscribe_broadcast, wait_for_positions
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord
from notifier.app import create_app
from notifier.edges.websocket_protocol import CoalescingWebSocket
from notifier.hub.client import HubBounds
from notifier.ports import Adapters
from notifier.testing.gateway import MemoryGateway
from notifier.testing.log import MemoryLog, MemoryTopics
from orchestrator.aggregate import Reply
from orchestrator.intake.records import outcome_records
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
            background.begin_stop()
        server.should_exit = True
        await running


class RawWatching(WatchSocket):
    """A connection that can send any frame."""

    async def send(self, message: str | bytes) -> None:
        """Send a frame as it is."""
        assert self._socket is not None
        await self._socket.send(message)


@dataclass
class RunningNotifier:
    """One running notifier."""

    address: str
    http: httpx.AsyncClient
    app: Starlette

    @property
    def ws_url(self) -> str:
        """The address of its WebSocket."""
        return f"ws://{self.address}/ws"

    def watch(self, **query: str) -> RawWatching:
        """Watch over the WebSocket."""
        return RawWatching(self.ws_url, query)

    async def readiness(self) -> dict[str, str]:
        """Return the answer of each check."""
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
async def running(
    settings: Settings, adapters: Adapters | None = None, bounds: HubBounds | None = None, *, wait: bool = True
) -> AsyncIterator[RunningNotifier]:
    """Run a notifier, and wait until it is ready."""
    app = create_app(settings, adapters, bounds)
    async with (
        serving(
            app, ws=CoalescingWebSocket, ws_max_size=settings.max_body_bytes, ws_per_message_deflate=False
        ) as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False) as http,
    ):
        notifier = RunningNotifier(address, http, app)
        if wait:
            await notifier.until_ready()
        yield notifier
    assert app.state.background.failure is None


Answer = Callable[[Command], Outcome | None]


@dataclass
class Answers:
    """Answers the commands of the runs that it is told of; None is a late answer."""

    by_run: dict[UUID, Answer] = field(default_factory=dict)
    commands: list[Any] = field(default_factory=list)

    def __call__(self, command: Command) -> Outcome | None:
        """Note a command and return its outcome."""
        if command.run_id not in self.by_run:
            return None
        self.commands.append(command)
        return self.by_run[command.run_id](command)

    def of(self, run_id: UUID) -> list[Any]:
        """Return the commands about a run."""
        return [command for command in self.commands if command.run_id == run_id]


class Backend(Protocol):
    """The log, the gateway and the orchestrator around any number of notifiers."""

    gateway: MemoryGateway
    answers: Answers

    @property
    def gateway_port(self) -> int:
        """The port on which the notifier believes the gateway."""

    def notifier(self, bounds: HubBounds | None = None) -> AbstractAsyncContextManager[RunningNotifier]:
        """Run one more notifier."""

    async def send(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.events`, each a key and a value."""

    async def send_partial_output(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.partials`, each a key and a value."""


@dataclass
class MemoryBackend:
    """Everything in this process: the notifier's wiring on memory adapters."""

    gateway: MemoryGateway = field(default_factory=MemoryGateway)
    answers: Answers = field(default_factory=Answers)

    @property
    def gateway_port(self) -> int:
        """The default."""
        return Settings(_env_file=None).gateway_port

    def __post_init__(self) -> None:
        self._topics = MemoryTopics(self.answers)

    def notifier(self, bounds: HubBounds | None = None) -> AbstractAsyncContextManager[RunningNotifier]:
        """Run one more notifier."""
        return running(Settings(_env_file=None), Adapters(self.gateway, MemoryLog(self._topics), utc_now), bounds)

    async def send(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.events`, each a key and a value."""
        await self._topics.publish(*records)

    async def send_partial_output(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.partials`, each a key and a value."""
        await self._topics.publish_partial_output(*(value for _, value in records))


@dataclass
class KafkaBackend:
    """A real Kafka, and the gateway over HTTP."""

    bootstrap: str
    gateway_url: str
    producer: Producer
    gateway: MemoryGateway
    answers: Answers = field(default_factory=Answers)

    @property
    def gateway_port(self) -> int:
        """That of the gateway's URL."""
        return urlsplit(self.gateway_url).port or 80

    def notifier(self, bounds: HubBounds | None = None) -> AbstractAsyncContextManager[RunningNotifier]:
        """Run one more notifier."""
        return running(settings_on(self.bootstrap, self.gateway_url, outcome_wait_seconds=2), None, bounds)

    async def send(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.events`, each a key and a value."""
        await self._send([Outgoing(EVENTS.name, key, value) for key, value in records])

    async def send_partial_output(self, *records: tuple[bytes, bytes]) -> None:
        """Append records of `run.partials`, each a key and a value."""
        await self._send([Outgoing(PARTIALS.name, key, value) for key, value in records])

    async def _send(self, records: list[Outgoing]) -> None:
        for sent in await self.producer.send_all(records):
            await sent

    async def on_commands(self, records: Sequence[RawRecord]) -> None:
        """Answer a batch of commands."""
        for record in records:
            with contextlib.suppress(ValueError):
                command = parse_command(record.value or b"")
                if (outcome := self.answers(command)) is not None:
                    await self.producer.send_all(
                        outcome_records(command, str(command.run_id).encode(), Reply(to_json(outcome)))
                    )


def settings_on(bootstrap: str, gateway_url: str, **settings: Any) -> Settings:
    """Return settings for a Kafka and a gateway."""
    return Settings(
        _env_file=None, kafka_bootstrap_servers=bootstrap, gateway_url=gateway_url, fetch_wait_ms=25, **settings
    )


@contextlib.asynccontextmanager
async def kafka_backend(bootstrap: str) -> AsyncIterator[KafkaBackend]:
    """Serve a gateway, and answer commands from now on."""
    producer, gateway = Producer(bootstrap, "press"), MemoryGateway()
    await producer.start()
    async with serving(gateway.app()) as address:
        backend, broker = (
            KafkaBackend(bootstrap, f"http://{address}", producer, gateway),
            create_broker(bootstrap, "core"),
        )
        subscriber = subscribe_broadcast(broker, COMMANDS, backend.on_commands, fetch_wait_ms=25)
        await broker.start()
        await wait_for_positions(subscriber)
        yield backend
        await broker.stop()
    await producer.stop()


@dataclass
class Publisher:
    """Publishes events as the orchestrator does; the gateway learns them unless it is to lag."""

    backend: Backend

    async def publish(self, *events: RunEvent | bytes, learn: bool = True) -> None:
        """Publish events or raw values."""
        values = [event if isinstance(event, bytes) else event.to_bytes() for event in events]
        if learn:
            self.backend.gateway.learn(*values)
        keys = [str(event.run_id) if isinstance(event, RunEvent) else "?" for event in events]
        await self.backend.send(*zip(map(str.encode, keys), values, strict=True))


def updates(messages: Sequence[dict[str, Any]], run_id: object) -> list[int]:
    """Return the versions of a run in its status updates."""
    return [m["version"] for m in messages if m["type"] == "HITL_STATUS_UPDATE" and m["run_id"] == str(run_id)]


async def through(watching: WatchSocket, event: RunEvent) -> list[dict[str, Any]]:
    """Read up to an event; return all messages of this connection."""
    await watching.until("HITL_STATUS_UPDATE", run_id=str(event.run_id), version=event.version)
    return watching.seen
