"""The embedded Kafka broker: librdkafka's mock cluster in a process of its own.

It speaks the Kafka protocol on a free port of loopback and holds its log in memory: each start begins an empty log,
with all topics of the contracts.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import sys
from pathlib import Path

from contracts.topics import all_topics
from local_stack.processes.process import Process, Program
from local_stack.wait import until

START_SECONDS = 15.0
FETCH_WAIT_MS = 25
"""The fetch wait for its consumers: it answers an empty fetch only when the wait ends."""


class BrokerFailed(Exception):
    """The broker could not be started; the message ends with its output."""


class EmbeddedBroker:
    """One embedded broker. Its address and the name of its log are new at each start."""

    given = False
    line = "starting the Kafka broker; its log is in memory"

    def __init__(self, folder: Path) -> None:
        self._address = folder / "broker.address"
        self._process = Process(
            Program(
                name="broker",
                command=[sys.executable, "-m", __name__, self._address],
                log=folder / "logs" / "broker.log",
            )
        )
        self.bootstrap = ""
        self.log_id = ""

    @property
    def alive(self) -> bool:
        """True while the broker runs."""
        return self._process.alive

    @property
    def pid(self) -> int | None:
        """The broker's process id, while it runs."""
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Return the settings of the services that it decides."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "SAYSO_LOG_ID": self.log_id,
            "SAYSO_FETCH_WAIT_MS": str(FETCH_WAIT_MS),
        }

    def last_lines(self) -> str:
        """Return the end of the broker's log."""
        return self._process.last_lines()

    async def start(self) -> None:
        """Start with an empty log. Raises BrokerFailed."""
        self._address.unlink(missing_ok=True)
        self.log_id = f"embedded-{secrets.token_hex(8)}"
        self._process.start()
        with contextlib.suppress(TimeoutError):
            await until(lambda: self._address.exists() or not self.alive, START_SECONDS, "the embedded broker listens")
        if not self.alive or not self._address.exists():
            await self.stop()
            raise BrokerFailed(f"the embedded broker did not start:\n{self.last_lines()}")
        self.bootstrap = self._address.read_text().strip()

    async def stop(self) -> None:
        """Stop it; its log is lost."""
        await self._process.stop()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()


def run(address: Path) -> None:
    """Serve until a signal; write the address to a file once it is known."""
    from local_stack.broker import mock_cluster  # noqa: PLC0415 - the parent process imports this module without the library

    new = address.with_suffix(".new")
    new.write_text(mock_cluster.start(all_topics()))
    new.rename(address)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    run(Path(sys.argv[1]))
