"""Any number of instances of each service, as processes. An instance that dies is restarted, as a container platform does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from chassis.failpoints import VARIABLE
from local_stack.ports import LOOPBACK, free_ports
from local_stack.processes.process import Process, Program
from local_stack.services import MODULES, PORT_SETTINGS
from local_stack.wait import POLL_SECONDS, until

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass
class Instance:
    """One process of a service. While `supervised`, it is restarted when it ends."""

    name: str
    service: str
    port: int
    process: Process
    supervised: bool = True
    ended: list[int] = field(default_factory=list)
    """The exit codes that were followed by a restart."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def said(self) -> str:
        """Its log."""
        log = self.process.program.log
        return log.read_text(errors="replace") if log.exists() else ""


class Fleet:
    """The services on one Kafka and one PostgreSQL, which `environment` names."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self._folder = folder
        self._ports = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
        self._instances: dict[str, Instance] = {}
        self._supervisor: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Instance:
        """Return an instance; the first of each service bears the service's name."""
        return self._instances[name]

    def __iter__(self) -> Iterator[Instance]:
        """Iterate over the instances."""
        return iter(self._instances.values())

    def gateways(self) -> list[str]:
        """Return the gateways' URLs."""
        return [one.url for one in self if one.service == "gateway"]

    def sockets(self) -> list[str]:
        """Return the notifiers' WebSockets."""
        return [f"ws://{LOOPBACK}:{one.port}/ws" for one in self if one.service == "notifier"]

    async def start(self) -> None:
        """Start one instance of each service, supervised; return when they are ready."""
        for service in MODULES:
            self._add(service, service, self._ports[service])
        await self.ready()
        self._supervisor = asyncio.create_task(self._supervise())

    async def add(self, service: str, name: str) -> Instance:
        """Start one more instance; return when it is ready."""
        instance = self._add(service, name, free_ports(1)[0])
        await self.ready_one(instance)
        return instance

    async def dismiss(self, name: str) -> None:
        """Stop an instance in order and take it out of the fleet."""
        instance = self._instances.pop(name)
        if instance.process.alive:
            await self.stop_one(instance)

    async def stop_one(self, instance: Instance) -> None:
        """Stop an instance in order. Raises AssertionError when its exit code is not 0."""
        instance.supervised = False
        await instance.process.stop(STOP_SECONDS)
        assert instance.process.exit_code == 0, f"{instance.name} ended with {instance.process.exit_code}"

    def start_one(self, instance: Instance, failpoints: str = "") -> None:
        """Start an instance that was stopped. After a death at a failpoint it is restarted without the failpoint."""
        instance.process = self._process(instance.name, instance.service, instance.port, failpoints)
        instance.process.start()
        instance.supervised = True

    async def ready(self) -> None:
        """Return when all are ready."""
        await asyncio.gather(*(self.ready_one(instance) for instance in self))

    async def ready_one(self, instance: Instance) -> None:
        """Return when an instance is ready."""
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:

            async def is_ready() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get(f"{instance.url}/health/ready")).is_success
                return False

            await until(is_ready, READY_SECONDS, f"{instance.name} is ready; it said {instance.process.last_lines()}")

    def kill(self) -> None:
        """Kill all; they stay down until `start_again`."""
        for instance in self:
            instance.supervised = False
        for instance in self:
            instance.process.kill()

    async def start_again(self, environment: Mapping[str, str]) -> None:
        """Start all that were killed, with changed settings."""
        self.environment |= environment
        for instance in self:
            self.start_one(instance)
        await self.ready()

    async def stop(self) -> None:
        """Stop all, in any state."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        await asyncio.gather(*(instance.process.stop(STOP_SECONDS) for instance in self))

    def _add(self, service: str, name: str, port: int) -> Instance:
        instance = Instance(name, service, port, self._process(name, service, port, ""))
        self._instances[name] = instance
        instance.process.start()
        return instance

    def _process(self, name: str, service: str, port: int, failpoints: str) -> Process:
        gateway = f"http://{LOOPBACK}:{self._ports['gateway']}"
        places = ",".join(filter(None, (failpoints, self.environment.get(VARIABLE, ""))))
        settings = {
            **self.environment,
            PORT_SETTINGS[service]: str(port),
            "SAYSO_GATEWAY_URL": gateway,
            "PYTHONUNBUFFERED": "1",
            **({VARIABLE: places} if places else {}),
        }
        command = [sys.executable, "-m", MODULES[service]]
        return Process(Program(name, command, self._folder / f"{name}.log", settings))

    async def _supervise(self) -> None:
        while True:
            for instance in self:
                code = instance.process.exit_code
                if instance.supervised and code is not None:
                    instance.ended.append(code)
                    self.start_one(instance)
            await asyncio.sleep(POLL_SECONDS)
