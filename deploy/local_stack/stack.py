"""The local stack: PostgreSQL, a Kafka broker and the services, started side by side and supervised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from chassis.settings import SAID_BY_STACK, Settings
from local_stack.activity.lines import ActivityLines
from local_stack.activity.reader import ActivityReader
from local_stack.broker.embedded import EmbeddedBroker
from local_stack.broker.given import GivenBroker
from local_stack.credential import curl_option
from local_stack.ports import free_port
from local_stack.postgres.database import EmbeddedDatabase, GivenDatabase
from local_stack.processes.data_folder import save_processes
from local_stack.processes.logs import MAX_BYTES, LogFollower, rotate
from local_stack.processes.supervisor import Supervisor
from local_stack.services import MODULES, Addresses, Services
from local_stack.wait import together

Tell = Callable[[str], None]

LOOK_SECONDS = 0.25
"""How often the stack looks whether all is alive, and tells what happened."""


def addresses_of(settings: Settings) -> Addresses:
    """Return the services' addresses from the settings; a port of 0 becomes one that is free now."""
    ports = {
        "orchestrator": settings.orchestrator_port,
        "provider-worker": settings.worker_port,
        "gateway": settings.gateway_port,
        "notifier": settings.notifier_port,
    }
    return Addresses(settings.host, {service: ports[service] or free_port() for service in MODULES})


def broker_of(settings: Settings, folder: Path) -> EmbeddedBroker | GivenBroker:
    """Return the Kafka that the settings name, or the embedded one."""
    given = "kafka_bootstrap_servers" in settings.model_fields_set
    return GivenBroker(settings.kafka_bootstrap_servers) if given else EmbeddedBroker(folder)


def database_of(settings: Settings, folder: Path) -> EmbeddedDatabase | GivenDatabase:
    """Return the database that the settings name, or the embedded one."""
    given = "database_url" in settings.model_fields_set
    return GivenDatabase(settings.database_url.get_secret_value()) if given else EmbeddedDatabase(folder)


class LocalStack:
    """Everything that `make run` starts. `tell` gets one line for each event that a person should know of."""

    def __init__(self, settings: Settings, addresses: Addresses, folder: Path, tell: Tell) -> None:
        self._settings = settings
        self._addresses = addresses
        self._folder = folder
        self._tell = tell
        self.logs = folder / "logs"
        self.database = database_of(settings, folder)
        self.broker = broker_of(settings, folder)
        self.services: Services | None = None
        key_file = settings.admin_key_file.absolute() if settings.auth == "on" else None
        self._activity = ActivityReader(ActivityLines(addresses.http("gateway"), curl_option(key_file)), tell)
        self._supervisors: list[Supervisor] = []
        self._followers: dict[str, LogFollower] = {}

    async def start(self) -> None:
        """Start everything and return when it is ready. Raises the error of the part that failed, with the end of its log."""
        for log in self.logs.glob("*.log"):
            rotate(log)
        parts = (self.database, self.broker)
        for given in (part for part in parts if part.given):  # asked first: nothing was started when it does not answer
            self._tell(given.line)
            await given.start()
        for ours in (part for part in parts if not part.given):
            self._tell(ours.line)
        await together(*(part.start() for part in parts if not part.given))
        self._tell(f"starting {', '.join(MODULES)}")
        self._start_services()
        await self._services_ready()

    async def keep(self) -> NoReturn:
        """Keep everything alive until cancelled."""
        while True:
            if not self.broker.alive:
                await self._replace_log()
            if not self.database.alive:
                self._tell("PostgreSQL has ended; starting it again on its data")
                await self.database.start()
                self._save_processes()
            self._supervise()
            await asyncio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Stop everything in order: the services before the broker and PostgreSQL."""
        await self._activity.stop()
        if self.services is not None:
            await self.services.stop()
        await asyncio.gather(self.broker.stop(), self.database.stop())

    def kill(self) -> None:
        """End everything at once; PostgreSQL recovers at its next start."""
        if self.services is not None:
            self.services.kill()
        self.broker.kill()
        self.database.kill()

    def _start_services(self) -> None:
        environment = {SAID_BY_STACK: "1", **self.database.environment(), **self.broker.environment()}
        if "fetch_wait_ms" in self._settings.model_fields_set:
            environment |= {"SAYSO_FETCH_WAIT_MS": str(self._settings.fetch_wait_ms)}
        self.services = Services(self._addresses, environment, self.logs)
        self.services.start()
        self._save_processes()

    async def _services_ready(self) -> None:
        assert self.services is not None, "they are started first"
        await self.services.ready()
        self._supervisors = [Supervisor(process) for process in self.services]
        self._followers = {process.program.name: LogFollower(process.program.log) for process in self.services}
        await self._activity.start(self.broker.bootstrap)

    async def _replace_log(self) -> None:
        """Start all services again on a new log: the embedded broker stores nothing, and the ledger's positions belong to one log."""
        self._tell("the Kafka broker has ended and its log with it; starting all services again on a new one")
        await self._activity.stop()
        if self.services is not None:
            await self.services.stop()
        await self.broker.start()
        self._start_services()
        await self._services_ready()
        self._tell("all services are ready again")

    def _supervise(self) -> None:
        self._activity.tick()
        for supervisor in self._supervisors:
            if line := supervisor.tick():
                self._tell(line)
                self._save_processes()
        for name, follower in self._followers.items():
            for line in follower.warnings():
                self._tell(f"{name}: {line}")
        for log in self.logs.glob("*.log"):
            rotate(log, MAX_BYTES)

    def _save_processes(self) -> None:
        services = [] if self.services is None else [process.pid for process in self.services]
        save_processes(self._folder, [pid for pid in (self.broker.pid, *services) if pid is not None])
