"""The bare system: four bare processes on an Apache Kafka and a PostgreSQL of their own, fsync on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from apache_kafka.broker import RealKafka
from bench.bare import steps
from bench.bare.rows import check_rows
from bench.bare.services import projection, worker
from bench.bare.settings import Settings
from bench.bare.template import make_steps
from bench.system.gauges import Gauges
from bench.system.servers import running_servers
from local_stack.ports import LOOPBACK, free_ports, in_use
from local_stack.postgres.server import Postgres
from local_stack.processes.process import Process, Program
from local_stack.services import READY_SECONDS, ServiceFailed
from local_stack.wait import until
from testkit.postgres.ledger_tables import make_ledger_tables

DATABASE = "bare"
MODULES = {"orchestrator": "orchestrator", "provider-worker": "worker", "gateway": "gateway", "notifier": "notifier"}
"""The module of each process, by the service that it replaces."""

_POLL_SECONDS = 0.5


@dataclass
class BareSystem:
    """The running processes with their servers."""

    kafka: RealKafka
    postgres: Postgres
    settings: Settings
    processes: Mapping[str, Process]

    @property
    def gateway_url(self) -> str:
        """The URL of REST."""
        return f"http://{LOOPBACK}:{self.settings.gateway_port}"

    @property
    def key(self) -> None:
        """It asks for no key."""

    @property
    def ws_url(self) -> str:
        """The URL of the WebSocket."""
        return f"ws://{LOOPBACK}:{self.settings.notifier_port}/ws"

    def gauges(self) -> Gauges:
        """Return gauges for all processes, the load driver (this process) included."""
        pids = {name: [process.pid or 0] for name, process in self.processes.items()}
        pids |= {"postgres": [self.postgres.pid or 0], "kafka": [self.kafka.pid or 0], "driver": [psutil.Process().pid]}
        return Gauges(pids, self.settings.database, self.kafka.folder / "data")

    async def check_rows(self, runs: int) -> None:
        """Check the rows of `runs` completed runs. Raises RowsDisagree."""
        await check_rows(self.settings.database, steps.read(self.settings.steps), runs)


@asynccontextmanager
async def running_bare_system(folder: Path) -> AsyncIterator[BareSystem]:
    """Start everything on empty data, and stop it at the end. Raises ServiceFailed when a process ends early."""
    async with running_servers(folder) as (postgres, kafka):
        gateway_port, notifier_port = free_ports(2)
        database = await _make_database(postgres)
        settings = Settings(kafka.bootstrap, database, folder / "steps.json", gateway_port, notifier_port)
        steps.write(await make_steps(), settings.steps)
        processes = {name: _process(name, settings, folder / "services") for name in MODULES}
        try:
            for process in processes.values():
                process.start()
            async with _all_alive(list(processes.values())):
                for port in (gateway_port, notifier_port):
                    await until(lambda port=port: in_use(LOOPBACK, port), READY_SECONDS, "the bare processes")  # type: ignore[misc]
                yield BareSystem(kafka, postgres, settings, processes)
        finally:
            await asyncio.gather(*(process.stop() for process in processes.values()))


async def _make_database(postgres: Postgres) -> str:
    url = await postgres.create_database(DATABASE)
    await make_ledger_tables(url)
    connection = await asyncpg.connect(url)
    try:
        for tables in (worker.TABLE, projection.TABLES):
            await connection.execute(tables)
    finally:
        await connection.close()
    return url


def _process(name: str, settings: Settings, logs: Path) -> Process:
    command = [sys.executable, "-m", f"bench.bare.services.{MODULES[name]}"]
    return Process(Program(name, command, logs / f"{name}.log", {"PYTHONUNBUFFERED": "1"} | settings.environment()))


@asynccontextmanager
async def _all_alive(processes: list[Process]) -> AsyncIterator[None]:
    """Cancel the block as soon as a process ends. Raises ServiceFailed with the end of its log."""
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_until_one_ends(processes))
            yield
            watch.cancel()
    except ExceptionGroup as failed:
        # A lost connection may be noticed before its process has ended.
        with suppress(TimeoutError):
            await until(lambda: any(not process.alive for process in processes), _POLL_SECONDS, "a process ends")
        for process in processes:
            if not process.alive:
                message = f"{process.program.name} ended with {process.exit_code}:\n{process.last_lines()}"
                raise ServiceFailed(message) from failed
        raise failed.exceptions[0] from None


async def _until_one_ends(processes: list[Process]) -> None:
    while all(process.alive for process in processes):  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(_POLL_SECONDS)
    raise ServiceFailed
