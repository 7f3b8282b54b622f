"""The four services as real processes on free ports, for end-to-end tests, once on each Kafka (ids `embedded` and `real`).

Tests share the `stack`: each starts runs of its own and looks at these alone. A test that kills or pauses a service restarts it.
`private_stack` is a stack of the test's own on the embedded broker, with a PostgreSQL that it may stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from apache_kafka.broker import RealKafka
from local_stack.broker.embedded import EmbeddedBroker
from local_stack.ports import LOOPBACK, free_ports
from local_stack.postgres.server import Postgres
from local_stack.services import MODULES, Addresses, Services
from testkit.kafka.servers import Kafka
from testkit.postgres.servers import fresh_database
from testkit.stack.keys import first_key
from testkit.stack.vendors import FakeVendor

_running: list[Stack] = []


@dataclass(frozen=True)
class Stack:
    """A running set of services, the Kafka and the database under it."""

    services: Services
    kafka: Kafka
    database_url: str
    logs: Path

    @property
    def gateway_url(self) -> str:
        """The URL of the gateway, without a trailing slash."""
        return self.services.addresses.http("gateway")

    @property
    def notifier_url(self) -> str:
        """The URL of the notifier, without a trailing slash."""
        return self.services.addresses.http("notifier")

    @property
    def ws_url(self) -> str:
        """The address of the WebSocket, without a query."""
        return self.services.addresses.websocket()

    @property
    def admin_key(self) -> str | None:
        """The first key; None while authentication is off."""
        return first_key(self.logs)

    def url(self, service: str) -> str:
        """Return the URL of any of the four, such as `orchestrator`."""
        return self.services.addresses.http(service)

    def kill(self, service: str) -> None:
        """Kill a service, as a crash would."""
        self.services[service].kill()

    def pause(self, service: str) -> None:
        """Suspend a service."""
        self.services[service].pause()

    def resume(self, service: str) -> None:
        """Resume it."""
        self.services[service].resume()

    async def restart(self, service: str) -> None:
        """Stop a service in order if it runs, start it, and return when it is ready."""
        await self.services[service].stop()
        self.services[service].start()
        await self.services.ready_one(service)


@contextlib.asynccontextmanager
async def running_stack(
    kafka: Kafka, database_url: str, logs: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """Run the four services; `settings` are further environment variables for them."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "DATABASE_URL": database_url,
        "SAYSO_FETCH_WAIT_MS": str(kafka.fetch_wait_ms),
        "SAYSO_DATA_DIR": str(logs),
        **({"SAYSO_LOG_ID": kafka.log_id} if kafka.log_id else {}),
        **(settings or {}),
    }
    addresses = Addresses(LOOPBACK, dict(zip(MODULES, free_ports(len(MODULES)), strict=True)))
    stack = Stack(Services(addresses, environment, logs), kafka, database_url, logs)
    _running.append(stack)
    try:
        stack.services.start()
        await stack.services.ready()
        yield stack
    finally:
        _running.remove(stack)
        await stack.services.stop()


@pytest_asyncio.fixture(scope="session")
async def stack(
    any_kafka: Kafka, postgres_server: Postgres, fake_openai: FakeVendor, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Run the services on the embedded broker, then on the real Kafka."""
    settings = {"OPENAI_BASE_URL": fake_openai.base_url}
    async with (
        fresh_database(postgres_server) as url,
        running_stack(any_kafka, url, tmp_path_factory.mktemp("services"), settings) as running,
    ):
        yield running


@pytest_asyncio.fixture
async def private_stack(
    private_embedded: EmbeddedBroker, private_postgres: Postgres, tmp_path: Path
) -> AsyncIterator[Stack]:
    """Run services of the test's own: on `private_embedded` and `private_postgres`, which it may stop and start."""
    kafka = Kafka(private_embedded.bootstrap, embedded=True, log_id=private_embedded.log_id)
    async with running_stack(kafka, private_postgres.url(), tmp_path / "services") as running:
        yield running


@pytest_asyncio.fixture
async def private_real_stack(
    private_kafka: RealKafka, private_postgres: Postgres, tmp_path: Path
) -> AsyncIterator[Stack]:
    """Run services of the test's own on an Apache Kafka and a PostgreSQL that it may stop, kill and start."""
    kafka = Kafka(private_kafka.bootstrap, embedded=False, log_id=None)
    settings = {"SAYSO_OUTCOME_WAIT_SECONDS": "3"}
    async with running_stack(kafka, private_postgres.url(), tmp_path / "services", settings) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of every service's log beside a failed test that ran on services."""
    report = yield
    if report.failed and any("stack" in name for name in getattr(item, "fixturenames", ())):
        for process in (process for stack in _running for process in stack.services):
            report.sections.append((f"log of {process.program.name}", process.last_lines(40)))
    return report
