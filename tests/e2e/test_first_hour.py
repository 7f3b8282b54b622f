"""A newcomer's hour: what the README and the terminal of `make run` say can be pasted, leads to a result, and is true."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from local_stack.services import MODULES
from testkit.readme import README, code_blocks
from testkit.stack.local_run import LocalRun, local_run, ready_run

pytestmark = pytest.mark.timeout(180)

COMMANDS = [block for block in code_blocks(README, "sh") if "make run" not in block]


@pytest_asyncio.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalRun]:
    """Run one local stack in a folder with a space in its name; one setting is misspelt."""
    folder = tmp_path_factory.mktemp("first hour")
    async with ready_run(folder, {"HF_TOKN": "x"}) as run:
        yield run


async def pasted(run: LocalRun, commands: str) -> tuple[int | None, str]:
    """Paste commands into a shell beside the stack; return the exit code and what was printed."""
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-euc", commands.replace("http://127.0.0.1:8000", run.addresses.http("gateway"))),
        cwd=run.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await shell.communicate()
    return shell.returncode, said.decode()


async def test_the_readmes_commands_lead_to_a_result_as_they_are_written(stack: LocalRun) -> None:
    """All of them in their order, at once: an edit that fits the sample, an approval bound to what was seen, the result, the history."""
    code, said = await pasted(stack, "\n".join(COMMANDS))
    assert code == 0, said
    assert '"state": "completed"' in said
    assert "\nYou asked: “" in said
    assert '"kind": "run-completed.v1"' in said


def test_the_readmes_commands_can_be_pasted() -> None:
    """No prompt of a shell, no place to fill in, no option of a program that few have; decisions name the hash."""
    assert len(COMMANDS) >= 4
    for block in COMMANDS:
        assert not re.search(r"^\$ |…|<\w+>|--json", block, re.MULTILINE), block
    decisions = [
        line for block in COMMANDS for line in block.splitlines() if re.search(r"/(approve|edit|reject) ", line)
    ]
    assert len(decisions) == 2
    assert [line for line in decisions if "subject_sha256" not in line] == []


async def test_the_terminal_tells_of_each_run_and_how_to_go_on(stack: LocalRun) -> None:
    """One line for a start, a wait, a decision, a refusal and an end; the command of a wait decides it; the last shows the result."""
    async with httpx.AsyncClient(base_url=stack.addresses.http("gateway"), timeout=30) as client:
        hitl = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}
        body = {"prompt": "a red bicycle", "provider": "sandbox", "user_id": "ann", "hitl_config": hitl}
        run_id = (await client.post("/hitl/runs", json=body)).json()["run_id"]
        short = run_id[:8]
        await stack.says(f"{short}  started    sandbox by ann: a red bicycle")
        await stack.says(f"{short}  waiting    payload_review (policy_requires_human); to approve: curl ")
        assert (await pasted(stack, command(stack, short, "payload_review")))[0] == 0
        await stack.says(f"{short}  decided    payload_review approved by ann")
        await stack.says(f"{short}  waiting    response_review")
        wrong = {"subject_sha256": "0" * 64, "actor": "bob"}
        assert (await client.post(f"/hitl/runs/{run_id}/approve", json=wrong)).status_code == 409
        await stack.says(f"{short}  refused    approve by bob: subject_changed")
        assert (await pasted(stack, command(stack, short, "response_review")))[0] == 0
        await stack.says(f"{short}  completed  the result: curl -sS ")
    (last,) = re.findall(rf"{short}  completed  the result: (curl .*)", stack.output)
    code, said = await pasted(stack, last)
    assert code == 0
    assert json.loads(said)["result"]["text"].startswith("You asked: “a red bicycle”")


def command(run: LocalRun, short: str, step: str) -> str:
    """Return the command that the line of a wait shows."""
    found = re.search(rf"{short}  waiting    {step} .*; to approve: (curl .*)", run.output)
    assert found is not None
    return found[1]


async def test_every_service_says_its_version(stack: LocalRun) -> None:
    """Name, version, the contracts' version and Python's; no address, no key, no setting."""
    async with httpx.AsyncClient() as client:
        for service in MODULES:
            answer = (await client.get(f"{stack.addresses.http(service)}/version")).json()
            assert list(answer) == ["service", "version", "contracts", "python"]
            assert answer["service"] == service
            assert re.fullmatch(r"\d+\.\d+\.\d+", answer["version"])
            assert answer["python"] == ".".join(map(str, sys.version_info[:3]))


async def test_what_concerns_the_whole_stack_is_said_once(stack: LocalRun) -> None:
    """That authentication is off, and that a setting is misspelt: on the terminal, and in no service's log."""
    assert stack.output.lower().count("authentication is off") == 1
    assert stack.output.count("HF_TOKN is no setting and has no effect; did you mean HF_TOKEN?") == 1
    logs = [log.read_text() for log in (stack.folder / "data" / "logs").glob("*.log")]
    assert len(logs) == len(MODULES) + 2
    assert [log for log in logs if "authentication is off" in log or "HF_TOKN" in log] == []


async def test_a_service_that_runs_alone_says_it_itself(tmp_path: Path) -> None:
    """Once, in its own log."""
    alone = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "notifier"),
        cwd=tmp_path,
        env={**os.environ, "SAYSO_NOTIFIER_PORT": "0", "HF_TOKN": "x"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert alone.stderr is not None
    said = b"".join([await alone.stderr.readline() for _ in range(2)])
    alone.terminate()
    said += await alone.stderr.read()
    await alone.wait()
    assert said.count(b"authentication is off") == 1
    assert said.count(b"did you mean HF_TOKEN?") == 1


async def test_data_are_not_forgotten_under_a_running_stack(stack: LocalRun) -> None:
    """`make forget` says in one line that it runs, and the stack goes on."""
    forgetting = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local_stack.forget"),
        env={**os.environ, "SAYSO_DATA_DIR": str(stack.folder / "data")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await forgetting.communicate()
    assert forgetting.returncode == 1
    assert said.decode().startswith(f"sayso: a stack is running on {stack.folder / 'data'} already")
    await stack.answers("gateway")


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("SAYSO_LIMITS", '{"openai": {"concurrency": 0}}', "/openai/concurrency: must be greater than 0"),
        ("SAYSO_CHECKS", '["spelling"]', "/spelling: no such check is installed"),
        ("SAYSO_ROUTES", "[", "Invalid JSON"),
        ("SAYSO_BUDGETS", '{"monthly": 1}', "/monthly: no such name"),
        ("SAYSO_PRICES", "/none/prices.json", "/none/prices.json: No such file or directory"),
        ("SAYSO_DATA_DIR", "/proc/none", "/proc/none cannot be written"),
    ],
)
async def test_a_malformed_setting_stops_the_start_before_anything_starts(
    tmp_path: Path, setting: str, value: str, line: str
) -> None:
    """One line names the setting and the place, whichever service reads it; no server was started, no data were made."""
    async with local_run(tmp_path, {setting: value}) as run:
        assert await run.ends(seconds=30) == 1
        assert run.output.startswith(f"sayso: {setting}: {line}")
        assert len(run.output.splitlines()) == 1
    assert not (tmp_path / "data" / "postgres").exists()
