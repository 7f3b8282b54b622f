"""The stage of an experiment: an Apache Kafka, a PostgreSQL with fsync, the services, and a provider that counts its calls."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from apache_kafka.broker import RealKafka
from chaos.clients.load import Load
from chaos.clients.people import PEOPLE, TOKENS
from chaos.system.fleet import Fleet
from chassis import failpoints
from local_stack.broker.embedded import FETCH_WAIT_MS, EmbeddedBroker
from local_stack.ports import LOOPBACK, free_ports
from local_stack.postgres.server import Postgres
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from messaging.admin import ensure_topics
from testkit.kafka.partitions import UNEVEN, provisioned_topics
from testkit.postgres.failover import FailoverProxy, failover_proxy
from testkit.stack.keys import first_key, make_keys
from testkit.stack.user import User

RATE = 8.0
"""Runs a second that two cores sustain without a growing queue, Kafka and clients included."""

DATABASE = "sayso"

_BY_KEY = {"SAYSO_AUTH": "on", **TOKENS}
"""The services' settings while keys and tokens say who acts."""


class Provider:
    """The fake OpenAI, as a process."""

    def __init__(self, folder: Path) -> None:
        port = free_ports(1)[0]
        self.url = f"http://{LOOPBACK}:{port}"
        command = [sys.executable, "-m", "fake_vendors.openai", "--port", port]
        self._process = Process(Program("openai", command, folder / "openai.log"))

    async def start(self) -> None:
        """Start it and return when it answers."""
        self._process.start()
        await until(self._answers, 20, "the fake OpenAI answers")

    async def stop(self) -> None:
        """Stop it."""
        await self._process.stop()

    async def calls(self) -> Counter[str]:
        """Return the number of calls with each prompt."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return Counter((await http.get(f"{self.url}/_prompts")).json())

    async def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return bool((await self.calls()) is not None)
        return False


@dataclass
class Stage:
    """Everything that runs. `kafka` is None on the embedded broker."""

    fleet: Fleet
    postgres: Postgres
    proxy: FailoverProxy
    """What stands between the services and PostgreSQL."""
    provider: Provider
    kafka: RealKafka | None
    folder: Path
    clock: Path
    """The file with the offset of the services' clock in seconds."""
    keys: Mapping[str, str]
    """The API key of each person; none while authentication is off."""

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self.fleet.environment["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def database_url(self) -> str:
        """The services' database."""
        return self.postgres.url(DATABASE)

    def load(self, rate: float = RATE) -> Load:
        """Return a load for it, not started yet."""
        return Load(self.fleet.gateways, self.fleet.sockets, rate, self.keys)

    def user(self) -> User:
        """Return a person who starts and steers runs of its own."""
        return User(self.fleet.gateways()[0], self.fleet.sockets()[0], "lea", self.keys.get("lea"))

    @contextlib.asynccontextmanager
    async def sql(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection to the services' database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def real_stage(folder: Path, *, by_key: bool = False) -> AsyncIterator[Stage]:
    """Run everything on an Apache Kafka of its own, whose topics have unequal numbers of partitions; `by_key`: authentication is on.

    Raises Unavailable where Kafka cannot be run.
    """
    kafka = RealKafka(folder / "kafka")
    try:
        await kafka.start()
        await ensure_topics(kafka.bootstrap, topics=provisioned_topics(UNEVEN))
        settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, **(_BY_KEY if by_key else {})}
        async with _services(folder, settings, kafka) as stage:
            yield stage
    finally:
        await kafka.stop()


@contextlib.asynccontextmanager
async def embedded_stage(folder: Path) -> AsyncIterator[tuple[Stage, EmbeddedBroker]]:
    """Run everything on an embedded broker, as `make run` does."""
    broker = EmbeddedBroker(folder / "broker")
    try:
        await broker.start()
        async with _services(folder, settings_of(broker), None) as stage:
            yield stage, broker
    finally:
        await broker.stop()


def settings_of(broker: EmbeddedBroker) -> dict[str, str]:
    """Return the services' settings for an embedded broker, which are new at each start."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "SAYSO_LOG_ID": broker.log_id,
        "SAYSO_FETCH_WAIT_MS": str(FETCH_WAIT_MS),
    }


@contextlib.asynccontextmanager
async def _services(folder: Path, of_stage: Mapping[str, str], kafka: RealKafka | None) -> AsyncIterator[Stage]:
    postgres, provider, clock = Postgres(folder / "postgres"), Provider(folder), folder / "clock"
    clock.write_text("0")
    async with contextlib.AsyncExitStack() as running:
        running.push_async_callback(postgres.stop)
        await postgres.start()
        proxy = await running.enter_async_context(failover_proxy(await postgres.create_database(DATABASE)))
        settings = {
            **of_stage,
            "DATABASE_URL": proxy.url,
            "SAYSO_DATA_DIR": str(folder),
            "OPENAI_BASE_URL": f"{provider.url}/v1",
            "SAYSO_OUTCOME_WAIT_SECONDS": "3",
            failpoints.VARIABLE: f"clock={clock}",
        }
        running.push_async_callback(provider.stop)
        await provider.start()
        fleet = Fleet(settings, folder / "services")
        running.push_async_callback(fleet.stop)
        await fleet.start()
        keys = await make_keys(fleet.gateways()[0], first_key(folder), PEOPLE)
        yield Stage(fleet, postgres, proxy, provider, kafka, folder, clock, keys)
