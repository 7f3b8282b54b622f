"""The local stack: PostgreSQL, the embedded broker and the services, started side by side and supervised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from chassis.settings import Settings
from local_stack.broker.embedded import FETCH_WAIT_MS, EmbeddedBroker
from local_stack.ports import free_port
from local_stack.postgres.server import Postgres
from local_stack.processes.data_folder import save_processes
from local_stack.processes.logs import MAX_BYTES, LogFollower, rotate
from local_stack.processes.supervisor import Supervisor
from local_stack.services import MODULES, Addresses, Services
from local_stack.wait import POLL_SECONDS, together

DATABASE, FORMER_DATABASE = "sayso", "countersign"
Tell = Callable[[str], None]


def addresses_of(settings: Settings) -> Addresses:
    """Return the services' addresses from the settings; a port of 0 becomes one that is free now."""
    ports = {
        "orchestrator": settings.orchestrator_port,
        "provider-worker": settings.worker_port,
        "gateway": settings.gateway_port,
        "notifier": settings.notifier_port,
    }
    return Addresses(settings.host, {service: ports[service] or free_port() for service in MODULES})


class LocalStack:
    """Everything that `make run` starts. `tell` gets one line for each event that a person should know of."""

    def __init__(self, settings: Settings, addresses: Addresses, folder: Path, tell: Tell) -> None:
        self._settings = settings
        self._addresses = addresses
        self._folder = folder
        self._tell = tell
        self.logs = folder / "logs"
        self.postgres = Postgres(folder)
        self.broker = EmbeddedBroker(folder)
        self.services: Services | None = None
        self._supervisors: list[Supervisor] = []
        self._followers: dict[str, LogFollower] = {}

    async def start(self) -> None:
        """Start everything and return when it is ready. Raises the error of the part that failed, with the end of its log."""
        for log in self.logs.glob("*.log"):
            rotate(log)
        self._tell(f"starting PostgreSQL and the Kafka broker; data in {self._folder}")
        await together(self._start_postgres(), self.broker.start())
        self._tell(f"starting {', '.join(MODULES)}")
        self._start_services()
        await self._services_ready()

    async def keep(self) -> NoReturn:
        """Keep everything alive until cancelled."""
        while True:
            if not self.broker.alive:
                await self._replace_log()
            if not self.postgres.alive:
                self._tell("PostgreSQL has ended; starting it again on its data")
                await self.postgres.start()
                self._save_processes()
            self._supervise()
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Stop everything in order: the services before the broker and PostgreSQL."""
        if self.services is not None:
            await self.services.stop()
        await asyncio.gather(self.broker.stop(), self.postgres.stop())

    def kill(self) -> None:
        """End everything at once; PostgreSQL recovers at its next start."""
        if self.services is not None:
            self.services.kill()
        self.broker.kill()
        self.postgres.kill()

    async def _start_postgres(self) -> None:
        await self.postgres.start()
        await self.postgres.rename_database(FORMER_DATABASE, DATABASE)
        await self.postgres.create_database(DATABASE)

    def _start_services(self) -> None:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap,
            "SAYSO_LOG_ID": self.broker.log_id,
            "DATABASE_URL": self.postgres.url(DATABASE),
        }
        if "fetch_wait_ms" not in self._settings.model_fields_set:
            environment["SAYSO_FETCH_WAIT_MS"] = str(FETCH_WAIT_MS)
        self.services = Services(self._addresses, environment, self.logs)
        self.services.start()
        self._save_processes()

    async def _services_ready(self) -> None:
        assert self.services is not None, "they are started first"
        await self.services.ready()
        self._supervisors = [Supervisor(process) for process in self.services]
        self._followers = {process.program.name: LogFollower(process.program.log) for process in self.services}

    async def _replace_log(self) -> None:
        """Start all services again on a new log: the embedded broker stores nothing, and the ledger's positions belong to one log."""
        self._tell("the Kafka broker has ended and its log with it; starting all services again on a new one")
        if self.services is not None:
            await self.services.stop()
        await self.broker.start()
        self._start_services()
        await self._services_ready()
        self._tell("all services are ready again")

    def _supervise(self) -> None:
        for supervisor in self._supervisors:
            if line := supervisor.tick():
                self._tell(line)
                self._save_processes()
        for name, follower in self._followers.items():
            for line in follower.warnings():
                self._tell(f"{name}: {line}")
            rotate(self.logs / f"{name}.log", MAX_BYTES)

    def _save_processes(self) -> None:
        services = [] if self.services is None else [process.pid for process in self.services]
        save_processes(self._folder, [pid for pid in (self.broker.pid, *services) if pid is not None])
