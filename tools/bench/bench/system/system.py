"""The measured system: the four services as processes, on an Apache Kafka and a PostgreSQL of their own, fsync on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil

from apache_kafka.broker import RealKafka
from bench.system.gauges import Gauges
from bench.system.servers import running_servers
from local_stack.ports import LOOPBACK, free_port, free_ports
from local_stack.postgres.server import Postgres
from local_stack.processes.process import Process, Program
from local_stack.services import MODULES, READY_SECONDS, Addresses, Services
from local_stack.wait import until
from testkit.stack.keys import first_key

DATABASE = "sayso"


@dataclass
class System:
    """The running services with their servers."""

    services: Services
    kafka: RealKafka
    postgres: Postgres
    environment: dict[str, str]
    folder: Path
    more: list[Process] = field(default_factory=list)

    @property
    def gateway_url(self) -> str:
        """The URL of REST."""
        return self.services.addresses.http("gateway")

    @property
    def ws_url(self) -> str:
        """The URL of the WebSocket."""
        return self.services.addresses.websocket()

    @property
    def key(self) -> str | None:
        """The first API key; None while authentication is off."""
        return first_key(self.folder)

    @property
    def database_url(self) -> str:
        """The services' database."""
        return self.postgres.url(DATABASE)

    def gauges(self) -> Gauges:
        """Return gauges for all processes that run now, the load driver (this process) included."""
        pids = {name: [_pid(self.services[name])] for name in MODULES}
        pids["orchestrator"] += [_pid(process) for process in self.more]
        pids |= {"postgres": [self.postgres.pid or 0], "kafka": [self.kafka.pid or 0], "driver": [psutil.Process().pid]}
        return Gauges(pids, self.database_url, self.kafka.folder / "data")

    async def scale_orchestrators(self, count: int) -> None:
        """Start or stop orchestrators until `count` run and share the partitions."""
        while len(self.more) + 1 > count:
            await self.more.pop().stop()
        started = [self._start_orchestrator() for _ in range(count - 1 - len(self.more))]
        async with httpx.AsyncClient() as client:
            for port in started:
                await until(partial(_answers, client, port), READY_SECONDS, "the orchestrator is ready")

    def _start_orchestrator(self) -> int:
        name, port = f"orchestrator-{len(self.more) + 2}", free_port()
        environment = {**self.environment, "SAYSO_ORCHESTRATOR_PORT": str(port)}
        command = [sys.executable, "-m", "orchestrator"]
        self.more.append(Process(Program(name, command, self.folder / "services" / f"{name}.log", environment)))
        self.more[-1].start()
        return port


async def _answers(client: httpx.AsyncClient, port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await client.get(f"http://{LOOPBACK}:{port}/health/ready")).is_success
    return False


@contextlib.asynccontextmanager
async def running_system(folder: Path) -> AsyncIterator[System]:
    """Start everything on empty data, and stop it at the end."""
    async with running_servers(folder) as (postgres, kafka):
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "DATABASE_URL": await postgres.create_database(DATABASE),
            "SAYSO_HOST": LOOPBACK,
            "SAYSO_DATA_DIR": str(folder),
        }
        addresses = Addresses(LOOPBACK, dict(zip(MODULES, free_ports(len(MODULES)), strict=True)))
        services = Services(addresses, environment, folder / "services")
        running = System(services, kafka, postgres, environment, folder)
        try:
            services.start()
            await services.ready()
            yield running
        finally:
            await asyncio.gather(services.stop(), *(process.stop() for process in running.more))


def _pid(process: Process) -> int:
    assert process.pid is not None, f"{process.program.name} has ended:\n{process.last_lines()}"
    return process.pid
