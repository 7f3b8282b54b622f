"""`make run`: ready with a sample run, mends itself, finds its data again, leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from local_stack.services import MODULES
from local_stack.waiting import until
from support.local import LocalRun, alive, local_run, ready_run

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture(scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalRun]:
    """Run one local stack for the tests that leave it alive."""
    async with ready_run(tmp_path_factory.mktemp("local")) as run:
        yield run


async def state_of(run: LocalRun) -> str:
    """Read the sample run's state over REST."""
    async with httpx.AsyncClient(base_url=run.gateway_url) as client:
        answer = await client.get(f"/hitl/runs/{run.run_id}")
        return str(answer.json()["state"]) if answer.is_success else ""


async def state_becomes(run: LocalRun, state: str) -> None:
    """Wait until the sample run is in `state`."""

    async def is_there() -> bool:
        return await state_of(run) == state

    await until(is_there, 20, f"the sample run is at {state}")


async def test_it_becomes_ready_and_a_sample_run_waits_for_a_decision(local: LocalRun) -> None:
    """One command, and a run waits at its payload review."""
    assert await state_of(local) == "payload_review"


async def test_a_second_stack_on_the_same_folder_is_refused_in_one_line(local: LocalRun) -> None:
    """Two stacks never write one data folder."""
    (local.folder / "second").mkdir()
    async with local_run(local.folder / "second", {"COUNTERSIGN_DATA_DIR": str(local.folder / "data")}) as second:
        assert await second.ends() == 1
        assert second.output.splitlines() == [
            f"countersign: a stack is running on {local.folder / 'data'} already (process {local.process.pid})"
        ]


@pytest.mark.parametrize("service", MODULES)
async def test_a_service_that_dies_is_started_again_and_one_line_says_so(local: LocalRun, service: str) -> None:
    """A crash of any service costs a moment."""
    local.part(f"-m {MODULES[service]}").kill()
    await local.says(f"{service} was ended by signal 9; starting it again in 0.5 s")
    await until(
        lambda: any(f"-m {MODULES[service]}" in " ".join(child.cmdline()) for child in alive(local.process.children())),
        10,
        service,
    )


async def test_postgresql_that_dies_is_started_again_on_its_data(local: LocalRun) -> None:
    """A crash of PostgreSQL loses nothing that was acknowledged."""
    local.part("bin/postgres").kill()
    await local.says("PostgreSQL has ended; starting it again on its data")
    await state_becomes(local, "payload_review")


async def test_a_broker_that_dies_is_replaced_and_the_run_still_waits(local: LocalRun) -> None:
    """The embedded broker's log is no loss: the ledger is the truth."""
    local.part("embedded_broker").kill()
    await local.says("starting all services again on a new one")
    await local.says("all services are ready again")
    await state_becomes(local, "payload_review")


async def test_the_printed_command_decides_the_sample_run(local: LocalRun) -> None:
    """What the terminal shows works when it is pasted."""
    pasted = await asyncio.create_subprocess_shell(local.deciding_command, stdout=asyncio.subprocess.DEVNULL)
    assert await pasted.wait() == 0
    await state_becomes(local, "response_review")


async def test_ctrl_c_leaves_no_process_and_a_second_start_finds_the_same_run(tmp_path: Path) -> None:
    """Stopping loses nothing and leaves nothing behind."""
    async with ready_run(tmp_path) as first:
        run_id, processes = first.run_id, first.everything()
        assert await first.interrupt() == 0
        assert alive(processes) == []
    async with ready_run(tmp_path) as second:
        assert second.run_id == run_id


async def test_a_stack_killed_outright_leaves_no_process_and_starts_again(tmp_path: Path) -> None:
    """Even without a chance to clean up, nothing outlives the stack and the data is found again."""
    async with ready_run(tmp_path) as first:
        run_id, processes = first.run_id, first.everything()
        first.process.kill()
        await until(lambda: alive(processes) == [], 10, "everything has ended")
    async with ready_run(tmp_path) as second:
        assert second.run_id == run_id


async def test_ctrl_c_while_it_starts_stops_it_too(tmp_path: Path) -> None:
    """Nobody has to wait for a start to end it."""
    async with local_run(tmp_path) as run:
        await run.says("starting orchestrator")
        processes = run.everything()
        assert await run.interrupt() == 0
        assert alive(processes) == []


async def test_sigterm_stops_it_like_ctrl_c(tmp_path: Path) -> None:
    """A supervisor above it, or `kill`, is heard."""
    async with local_run(tmp_path) as run:
        await run.says("starting PostgreSQL")
        run.process.send_signal(signal.SIGTERM)
        assert await run.ends() == 0


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """The line names the service, the port and the setting, and nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with local_run(tmp_path, {"COUNTERSIGN_GATEWAY_PORT": str(port)}) as run:
            assert await run.ends() == 1
            assert run.output.splitlines() == [
                f"countersign: gateway: port {port} is in use; COUNTERSIGN_GATEWAY_PORT names another (0: any)"
            ]
    assert not (tmp_path / "data" / "postgres").exists()


async def test_a_misspelt_setting_is_one_clear_line(tmp_path: Path) -> None:
    """A setting that nobody reads is never ignored."""
    async with local_run(tmp_path, {"COUNTERSIGN_GATEWAY_PROT": "1"}) as run:
        assert await run.ends() == 1
        assert run.output.startswith("countersign: COUNTERSIGN_GATEWAY_PROT: no such setting")
        assert len(run.output.splitlines()) == 1


async def test_a_service_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    """Nobody has to look for the log of a failed start."""
    (tmp_path / "gateway.py").write_text("raise SystemExit('no luck today')")
    async with local_run(tmp_path, {"PYTHONPATH": str(tmp_path)}) as run:
        assert await run.ends(seconds=60) == 1
        assert "gateway ended with 1:" in run.output
        assert "no luck today" in run.output
