"""The four bare processes, on an Apache Kafka and a PostgreSQL of their own, fsync on. All of it ends with its caller."""

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
from bench.bare import projection, steps, worker
from bench.bare.counting import check_rows
from bench.bare.settings import Settings
from bench.bare.template import make_steps
from bench.gauges import Gauges
from bench.ground import ground
from contracts.ledger_schema import record_sql
from local_stack.ports import LOOPBACK, free_ports, in_use
from local_stack.postgres.server import Postgres
from local_stack.processes.process import Process, Program
from local_stack.services import READY_SECONDS, ServiceFailed
from local_stack.wait import until

DATABASE = "bare"
MODULES = {"orchestrator": "orchestrator", "provider-worker": "worker", "gateway": "gateway", "notifier": "notifier"}
"""The module of each process, under the name of the service in whose place it stands."""

_LOOK_SECONDS = 0.5


@dataclass
class BareWorld:
    """Running processes and what is under them."""

    kafka: RealKafka
    postgres: Postgres
    settings: Settings
    processes: Mapping[str, Process]

    @property
    def gateway_url(self) -> str:
        """Where REST answers."""
        return f"http://{LOOPBACK}:{self.settings.gateway_port}"

    @property
    def ws_url(self) -> str:
        """Where watchers connect."""
        return f"ws://{LOOPBACK}:{self.settings.notifier_port}/ws"

    def gauges(self) -> Gauges:
        """Return gauges for everything that runs, and for the load driver, which is this process."""
        pids = {name: [process.pid or 0] for name, process in self.processes.items()}
        pids |= {"postgres": [self.postgres.pid or 0], "kafka": [self.kafka.pid or 0], "driver": [psutil.Process().pid]}
        return Gauges(pids, self.settings.database, self.kafka.folder / "data")

    async def check_rows(self, runs: int) -> None:
        """Count what `runs` completed runs left. Raises RowsDisagree unless it is all of it, and nothing else."""
        await check_rows(self.settings.database, steps.read(self.settings.steps), runs)


@asynccontextmanager
async def bare_world(folder: Path) -> AsyncIterator[BareWorld]:
    """Start everything on empty data, and end it. Raises ServiceFailed with its last lines when a process ends before."""
    async with ground(folder) as (postgres, kafka):
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
                yield BareWorld(kafka, postgres, settings, processes)
        finally:
            await asyncio.gather(*(process.stop() for process in processes.values()))


async def _make_database(postgres: Postgres) -> str:
    url = await postgres.create_database(DATABASE)
    connection = await asyncpg.connect(url)
    try:
        for tables in (record_sql(), worker.TABLE, projection.TABLES):
            await connection.execute(tables)
    finally:
        await connection.close()
    return url


def _process(name: str, settings: Settings, logs: Path) -> Process:
    command = [sys.executable, "-m", f"bench.bare.{MODULES[name]}"]
    return Process(Program(name, command, logs / f"{name}.log", {"PYTHONUNBUFFERED": "1"} | settings.environment()))


@asynccontextmanager
async def _all_alive(processes: list[Process]) -> AsyncIterator[None]:
    """End what stands within as soon as a process ends."""
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_until_one_ends(processes))
            yield
            watching.cancel()
    except ExceptionGroup as failed:
        # Who lost a line to a process may tell of it before the process is gone.
        with suppress(TimeoutError):
            await until(lambda: any(not process.alive for process in processes), _LOOK_SECONDS, "a process ends")
        for process in processes:
            if not process.alive:
                said = f"{process.program.name} ended with {process.exit_code}:\n{process.last_lines()}"
                raise ServiceFailed(said) from failed
        raise failed.exceptions[0] from None


async def _until_one_ends(processes: list[Process]) -> None:
    while all(process.alive for process in processes):  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(_LOOK_SECONDS)
    raise ServiceFailed
