"""One Apache Kafka broker in KRaft mode, as a Java process on free ports of loopback, with its data in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from apache_kafka.artifacts import Unavailable, ensure_jars, program
from apache_kafka.properties import new_cluster_id, properties_of
from local_stack.ports import LOOPBACK, free_ports
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from messaging.admin import log_identity

START_SECONDS = 60.0
LONG_LIFE = ("-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
"""Java's options for a broker that stays: those of `make kafka`, the benchmarks and the image. They stand here alone."""

SHORT_LIFE = (*LONG_LIFE, "-XX:TieredStopAtLevel=1")
"""For tests: without the second compiler, which pays off only after minutes."""


class RealKafka:
    """An Apache Kafka broker. Stopped or killed and started again it has the same address and the same data.

    `settings` are properties of its own, by name. `beside` is the first broker of a cluster that this one joins as its second.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        java_options: Sequence[str] = SHORT_LIFE,
        settings: Mapping[str, object] | None = None,
        beside: RealKafka | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._java_options = java_options
        broker, controller = free_ports(2)
        self._port = port or broker
        self.controller: int = beside.controller if beside else controller
        self.cluster: str = beside.cluster if beside else new_cluster_id()
        listens = f"PLAINTEXT://{self.bootstrap}"
        joins = {"node.id": 2, "process.roles": "broker", "listeners": listens} if beside else {}
        self._settings = joins | dict(settings or {})
        self._process: Process | None = None

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def alive(self) -> bool:
        """True while the broker runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """The broker's process id, while it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the broker and return when it answers. Raises Unavailable with the end of its log."""
        java, jars = program("java"), f"{ensure_jars()}/*"
        properties = self.folder / "server.properties"
        if not properties.exists():
            self._format(java, jars, properties)
        command = [java, *self._java_options, "-cp", jars, "kafka.Kafka", properties]
        self._process = Process(Program("kafka", command, log=self.folder / "kafka.log", folder=self.folder))
        self._process.start()
        try:
            await until(self._answers, START_SECONDS, "Apache Kafka answers")
        except (TimeoutError, Unavailable):
            self.kill()
            raise Unavailable(f"Apache Kafka did not start:\n{self._process.last_lines()}") from None

    async def stop(self) -> None:
        """Stop the broker in order."""
        if self._process is not None:
            await self._process.stop()

    def kill(self) -> None:
        """Kill the broker, as a crash would."""
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """Suspend the broker: its connections stay open and it does not answer."""
        if self._process is not None:
            self._process.pause()

    def resume(self) -> None:
        """Resume it."""
        if self._process is not None:
            self._process.resume()

    async def _answers(self) -> bool:
        if not self.alive:
            raise Unavailable
        return await answers(self.bootstrap)

    def _format(self, java: str, jars: str, properties: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = properties.with_suffix(".new")
        data = self.folder / "data"
        new.write_text(properties_of(self.bootstrap, self.bootstrap, self.controller, data, self._settings))
        command = [
            java,
            *self._java_options,
            "-cp",
            jars,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={self.cluster}",
            f"--config={new}",
        ]
        storage = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_SECONDS)
        if storage.returncode:
            raise Unavailable(f"Kafka's storage could not be made: {(storage.stdout + storage.stderr).strip()[-500:]}")
        new.rename(properties)


async def answers(bootstrap: str) -> bool:
    """Tell whether a Kafka answers at `bootstrap`."""
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    with contextlib.suppress(Exception):  # a broker that is starting fails in many ways
        _, connected = await asyncio.open_connection(host, int(port))
        connected.close()
        await connected.wait_closed()
        return bool(await log_identity(bootstrap))
    return False
