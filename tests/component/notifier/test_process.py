"""The notifier as a process: it starts, serves, and ends in time with the right exit code, with clients connected."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from local_stack.ports import free_ports
from local_stack.processes.process import Process, Program
from testkit.kafka.servers import Kafka
from testkit.stack.user import until


@pytest.fixture
def port() -> int:
    """Give a free port."""
    return free_ports(1)[0]


@pytest_asyncio.fixture
async def process(any_kafka: Kafka, gateway_url: str, port: int, tmp_path: Path) -> AsyncIterator[Process]:
    """Run `python -m notifier` on the embedded broker, then on the real Kafka."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": any_kafka.bootstrap,
        "SAYSO_FETCH_WAIT_MS": str(any_kafka.fetch_wait_ms),
        "SAYSO_GATEWAY_URL": gateway_url,
        "SAYSO_NOTIFIER_PORT": str(port),
        **({"SAYSO_LOG_ID": any_kafka.log_id} if any_kafka.log_id else {}),
    }
    program = Program("notifier", [sys.executable, "-m", "notifier"], tmp_path / "log", environment, folder=tmp_path)
    process = Process(program)
    process.start()
    yield process
    process.kill()


async def ready(process: Process, http: httpx.AsyncClient) -> None:
    """Wait until it is ready."""

    async def look() -> bool | None:
        assert process.alive, process.last_lines()
        with contextlib.suppress(httpx.TransportError):
            return (await http.get("/health/ready")).status_code == 200 or None
        return None

    await until(look)


async def test_it_ends_in_time_though_a_client_is_connected(process: Process, port: int) -> None:
    """The close code of its socket says that the service stops, and the exit code is 0."""
    url = f"127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=f"http://{url}", timeout=30, trust_env=False) as http:
        await ready(process, http)
        async with connect(f"ws://{url}/ws?run_id={uuid4()}") as watching:
            await watching.recv()
            await process.stop(seconds=6)
            assert process.exit_code == 0, process.last_lines()
            with pytest.raises(ConnectionClosed) as closed:
                await watching.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_a_port_in_use_is_one_clear_line(port: int, tmp_path: Path) -> None:
    """And an exit code that says it failed."""
    with socket.create_server(("127.0.0.1", port)):
        command, environment = [sys.executable, "-m", "notifier"], {"SAYSO_NOTIFIER_PORT": str(port)}
        process = Process(Program("notifier", command, tmp_path / "log", environment, folder=tmp_path))
        process.start()

        async def ended() -> bool | None:
            return not process.alive or None

        await until(ended)
    assert process.exit_code == 1
    (line,) = process.last_lines().splitlines()
    assert f"127.0.0.1:{port}" in line
