"""The four services as processes: their commands, addresses and readiness. Restarts none of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from local_stack.processes.process import Process, Program
from local_stack.wait import together, until

READY_SECONDS = 60.0
STOP_SECONDS = 6.0
MODULES = {
    "orchestrator": "orchestrator",
    "provider-worker": "provider_worker",
    "gateway": "gateway",
    "notifier": "notifier",
}
"""The module of each service; orders flow from the first to the last."""

PORT_SETTINGS = {
    "orchestrator": "SAYSO_ORCHESTRATOR_PORT",
    "provider-worker": "SAYSO_WORKER_PORT",
    "gateway": "SAYSO_GATEWAY_PORT",
    "notifier": "SAYSO_NOTIFIER_PORT",
}


class ServiceFailed(Exception):
    """A service could not be started; the message ends with its output."""


@dataclass(frozen=True)
class Addresses:
    """The host and the port of each service."""

    host: str
    ports: Mapping[str, int]

    def http(self, service: str) -> str:
        """Return the URL of a service, without a trailing slash."""
        return f"http://{self._authority(service)}"

    def websocket(self) -> str:
        """Return the address of the notifier's WebSocket."""
        return f"ws://{self._authority('notifier')}/ws"

    def _authority(self, service: str) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - all interfaces include loopback
        return f"[{host}]:{self.ports[service]}" if ":" in host else f"{host}:{self.ports[service]}"


class Services:
    """The four services on the Kafka and the PostgreSQL that `environment` names."""

    def __init__(self, addresses: Addresses, environment: Mapping[str, str], logs: Path) -> None:
        self.addresses = addresses
        ports = {setting: str(addresses.ports[service]) for service, setting in PORT_SETTINGS.items()}
        settings = {**ports, "SAYSO_HOST": addresses.host, "PYTHONUNBUFFERED": "1", **environment}
        self._processes = {
            service: Process(Program(service, [sys.executable, "-m", module], logs / f"{service}.log", settings))
            for service, module in MODULES.items()
        }

    def __getitem__(self, service: str) -> Process:
        """Return the process of one service."""
        return self._processes[service]

    def __iter__(self) -> Iterator[Process]:
        """Iterate over the processes."""
        return iter(self._processes.values())

    def start(self) -> None:
        """Start all four at once."""
        for process in self:
            process.start()

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when all are ready. Raises ServiceFailed with the end of the log of the first that is not."""
        await together(*(self.ready_one(service, seconds) for service in self._processes))

    async def ready_one(self, service: str, seconds: float = READY_SECONDS) -> None:
        """Return when `service` answers that it is ready. Raises ServiceFailed."""
        process, answered = self._processes[service], "nothing"

        async def is_ready() -> bool:
            nonlocal answered
            if not process.alive:
                raise ServiceFailed(f"{service} ended with {process.exit_code}:\n{process.last_lines()}")
            try:
                answer = await client.get(f"{self.addresses.http(service)}/health/ready")
            except httpx.TransportError:
                return False
            answered = answer.text
            return answer.is_success

        async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
            try:
                await until(is_ready, seconds, service)
            except TimeoutError:
                raise ServiceFailed(
                    f"{service} is not ready after {seconds:g} s; it answers {answered}\n{process.last_lines()}"
                ) from None

    async def stop(self) -> None:
        """Stop all four at once; a process still alive after STOP_SECONDS is killed."""
        await asyncio.gather(*(process.stop(STOP_SECONDS) for process in self))

    def kill(self) -> None:
        """Kill all four."""
        for process in self:
            process.kill()
