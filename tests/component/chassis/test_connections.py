"""Every service's process, with few files and clients that say nothing: it goes on answering."""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

import httpx
import pytest

from local_stack.ports import free_ports
from local_stack.processes.process import Process, Program
from testkit.stack.user import until

FILES = 300
SILENT = 500
PORTS = {"gateway": "GATEWAY", "notifier": "NOTIFIER", "orchestrator": "ORCHESTRATOR", "provider_worker": "WORKER"}


@pytest.mark.parametrize("module", PORTS)
async def test_connections_that_say_nothing_shut_nobody_out_of_any_service(module: str, tmp_path: Path) -> None:
    """More of them than the process has files: others are answered, and the log has one warning about it."""
    port, nowhere = free_ports(2)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{nowhere}",
        "DATABASE_URL": f"postgresql://127.0.0.1:{nowhere}/sayso",
        f"SAYSO_{PORTS[module]}_PORT": str(port),
    }
    command = ["sh", "-c", f"ulimit -n {FILES}; exec {sys.executable} -m {module}"]
    process = Process(Program(module, command, tmp_path / "log", environment, folder=tmp_path))
    process.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:

            async def answers() -> bool | None:
                assert process.alive, process.last_lines()
                with contextlib.suppress(httpx.TransportError):
                    return (await http.get("/health/live")).status_code == 200 or None
                return None

            await until(answers)
            with contextlib.ExitStack() as silent:
                for _ in range(SILENT):
                    silent.enter_context(socket.create_connection(("127.0.0.1", port)))
                async with httpx.AsyncClient(base_url=http.base_url, timeout=30, trust_env=False) as other:
                    assert (await other.get("/health/live")).status_code == 200
        log = (tmp_path / "log").read_text()
        assert log.count("every place for a connection is taken") == 1
        assert "Too many open files" not in log
    finally:
        process.kill()
