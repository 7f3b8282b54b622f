"""The local stack: PostgreSQL, the embedded broker and the services, started side by side and kept alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from chassis.settings import Settings
from local_stack.embedded_broker import FETCH_WAIT_MS, EmbeddedBroker
from local_stack.folder import remember
from local_stack.keeping import Kept
from local_stack.logs import MAX_BYTES, Follower, set_aside
from local_stack.ports import free_port
from local_stack.postgres import Postgres
from local_stack.services import MODULES, Addresses, Services
from local_stack.waiting import LOOK_SECONDS, together

DATABASE, FORMER_DATABASE = "sayso", "countersign"
Tell = Callable[[str], None]


def addresses_of(settings: Settings) -> Addresses:
    """Return where the services are to answer; a port of 0 becomes one that is free now."""
    ports = {
        "orchestrator": settings.orchestrator_port,
        "provider-worker": settings.worker_port,
        "gateway": settings.gateway_port,
        "notifier": settings.notifier_port,
    }
    return Addresses(settings.host, {service: ports[service] or free_port() for service in MODULES})


class LocalStack:
    """Everything that `make run` starts. `tell` gets one line for whatever a person should know."""

    def __init__(self, settings: Settings, addresses: Addresses, folder: Path, tell: Tell) -> None:
        self._settings = settings
        self._addresses = addresses
        self._folder = folder
        self._tell = tell
        self.logs = folder / "logs"
        self.postgres = Postgres(folder)
        self.broker = EmbeddedBroker(folder)
        self.services: Services | None = None
        self._kept: list[Kept] = []
        self._followers: dict[str, Follower] = {}

    async def start(self) -> None:
        """Start everything and return when it is ready. Raises what failed, with its last words."""
        for log in self.logs.glob("*.log"):
            set_aside(log)
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
                self._note_processes()
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Stop everything in order: those who write before those who keep."""
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
        self._note_processes()

    async def _services_ready(self) -> None:
        assert self.services is not None, "they are started first"
        await self.services.ready()
        self._kept = [Kept(process) for process in self.services]
        self._followers = {process.program.name: Follower(process.program.log) for process in self.services}

    async def _replace_log(self) -> None:
        """Begin a new log: the embedded broker keeps nothing, and positions in the ledger belong to one log."""
        self._tell("the Kafka broker has ended and its log with it; starting all services again on a new one")
        if self.services is not None:
            await self.services.stop()
        await self.broker.start()
        self._start_services()
        await self._services_ready()
        self._tell("all services are ready again")

    def _look(self) -> None:
        for kept in self._kept:
            if line := kept.look():
                self._tell(line)
                self._note_processes()
        for name, follower in self._followers.items():
            for line in follower.serious():
                self._tell(f"{name}: {line}")
            set_aside(self.logs / f"{name}.log", MAX_BYTES)

    def _note_processes(self) -> None:
        services = [] if self.services is None else [process.pid for process in self.services]
        remember(self._folder, [pid for pid in (self.broker.pid, *services) if pid is not None])
