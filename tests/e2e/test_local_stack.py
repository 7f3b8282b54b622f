"""`make run`: ready with a sample run, restarts its parts, keeps its data, leaves no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from local_stack.ports import free_port
from local_stack.services import MODULES, PORT_SETTINGS
from local_stack.wait import until
from testkit.stack.local_run import LocalRun, alive, local_run, ready_run, run_demo
from testkit.stack.vendors import FakeVendor

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture(scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalRun]:
    """Run one local stack for the tests that leave it alive."""
    async with ready_run(tmp_path_factory.mktemp("local")) as run:
        yield run


async def is_at(run: LocalRun, state: str) -> None:
    """Wait until the sample run is in `state`, as REST tells it."""

    async def is_there() -> bool:
        with contextlib.suppress(httpx.TransportError):
            answer = await client.get(f"/hitl/runs/{run.run_id}")
            return answer.is_success and answer.json()["state"] == state
        return False

    async with httpx.AsyncClient(base_url=run.addresses.http("gateway")) as client:
        await until(is_there, 30, f"the sample run is at {state}")


async def test_it_becomes_ready_and_a_sample_run_waits_for_a_decision(local: LocalRun) -> None:
    """One command, and a run waits at its payload review."""
    await is_at(local, "payload_review")


async def test_a_second_stack_on_the_same_folder_is_refused_in_one_line(local: LocalRun) -> None:
    """Two stacks never write one data folder."""
    (local.folder / "second").mkdir()
    async with local_run(local.folder / "second", {"SAYSO_DATA_DIR": str(local.folder / "data")}) as second:
        assert await second.ends() == 1
        assert second.output.splitlines() == [
            f"sayso: a stack is running on {local.folder / 'data'} already (process {local.process.pid})"
        ]


async def test_services_that_die_are_started_again_and_one_line_each_says_so(local: LocalRun) -> None:
    """A crash of any service costs a moment."""
    for service, module in MODULES.items():
        local.part(f"-m {module}").kill()
        await local.says(f"{service} was ended by signal 9; starting it again in 0.5 s")
    for service in MODULES:
        await local.answers(service)


async def test_postgresql_that_dies_is_started_again_on_its_data(local: LocalRun) -> None:
    """A crash of PostgreSQL loses nothing that was acknowledged."""
    local.part("bin/postgres").kill()
    await local.says("PostgreSQL has ended; starting it again on its data")
    await is_at(local, "payload_review")


async def test_a_broker_that_dies_is_replaced_and_the_run_can_be_decided(local: LocalRun) -> None:
    """The embedded broker's log is no loss, since the ledger has all events; and the terminal's command decides the run."""
    local.part("broker.embedded").kill()
    await local.says("starting all services again on a new one")
    await local.says("all services are ready again")
    await is_at(local, "payload_review")
    pasted = await asyncio.create_subprocess_shell(local.deciding_command, stdout=asyncio.subprocess.DEVNULL)
    assert await pasted.wait() == 0
    await is_at(local, "response_review")


async def test_make_demo_tells_its_story_on_it(local: LocalRun) -> None:
    """The demo's exit code says that every step went as told."""
    ports = {PORT_SETTINGS[service]: str(port) for service, port in local.addresses.ports.items()}
    code, said = await run_demo(ports)
    assert code == 0, said
    assert said.endswith("All went as told.\n")


async def test_make_demo_streams_from_the_server_that_openai_base_url_names(
    tmp_path: Path, fake_openai: FakeVendor
) -> None:
    """The fake OpenAI that ships stands for it: what it says is heard word by word, and the story goes as told."""
    openai, before = {"OPENAI_BASE_URL": fake_openai.base_url}, await fake_openai.calls()
    async with ready_run(tmp_path, openai) as run:
        ports = {PORT_SETTINGS[service]: str(port) for service, port in run.addresses.ports.items()}
        code, said = await run_demo({**ports, **openai})
    assert code == 0, said
    assert '"provider": "openai"' in said
    assert '"stream": true' in said
    assert await fake_openai.calls() == before + 1


async def test_make_demo_without_a_stack_is_one_clear_line() -> None:
    """The line says how to start the stack."""
    code, said = await run_demo({"SAYSO_GATEWAY_PORT": str(free_port())})
    assert code == 1
    assert "start one with: make run" in said
    assert len(said.splitlines()) == 1


async def test_nothing_outlives_a_stack_and_the_next_one_finds_its_data(tmp_path: Path) -> None:
    """Killed outright or stopped by Ctrl-C, it leaves no process; started again, it shows the same run."""
    async with ready_run(tmp_path) as first:
        run_id, processes = first.run_id, first.everything()
        first.process.kill()
        await until(lambda: alive(processes) == [], 10, "everything has ended")
    async with ready_run(tmp_path) as second:
        assert second.run_id == run_id
        processes = second.everything()
        assert await second.interrupt() == 0
        assert alive(processes) == []


async def test_ctrl_c_while_it_starts_stops_it_too(tmp_path: Path) -> None:
    """A start can be interrupted."""
    async with local_run(tmp_path) as run:
        await run.says("starting orchestrator")
        processes = run.everything()
        assert await run.interrupt() == 0
        assert alive(processes) == []


async def test_sigterm_stops_it_like_ctrl_c(tmp_path: Path) -> None:
    """A supervisor above it, or `kill`, can stop it."""
    async with local_run(tmp_path) as run:
        await run.says("starting PostgreSQL")
        run.process.send_signal(signal.SIGTERM)
        assert await run.ends() == 0


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """The line names the service, the port and the setting, and nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with local_run(tmp_path, {"SAYSO_GATEWAY_PORT": str(port)}) as run:
            assert await run.ends() == 1
            assert run.output.splitlines() == [
                f"sayso: gateway: port {port} is in use; SAYSO_GATEWAY_PORT names another (0: any)"
            ]
    assert not (tmp_path / "data" / "postgres").exists()


async def test_a_misspelt_setting_is_one_clear_line(tmp_path: Path) -> None:
    """An unknown setting stops the start."""
    async with local_run(tmp_path, {"SAYSO_GATEWAY_PROT": "1"}) as run:
        assert await run.ends() == 1
        assert run.output == "sayso: SAYSO_GATEWAY_PROT: no such setting; did you mean SAYSO_GATEWAY_PORT?\n"


async def test_a_setting_of_the_first_name_says_its_new_name(tmp_path: Path) -> None:
    """The line names the new setting, and nothing was started."""
    async with local_run(tmp_path, {"COUNTERSIGN_LOG_LEVEL": "debug"}) as run:
        assert await run.ends() == 1
        assert run.output.splitlines() == ["sayso: COUNTERSIGN_LOG_LEVEL: this setting is called SAYSO_LOG_LEVEL now"]


async def test_a_service_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    """The terminal shows the end of the log of a failed start."""
    (tmp_path / "gateway.py").write_text("raise SystemExit('no luck today')")
    async with local_run(tmp_path, {"PYTHONPATH": str(tmp_path)}) as run:
        assert await run.ends(seconds=60) == 1
        assert "gateway ended with 1:" in run.output
        assert "no luck today" in run.output
