"""`SAYSO_AUTH=on make run`: what it shows works as it is shown, and shows no key; without the first key it says so and goes on."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from local_stack.credential import headers_of
from local_stack.services import PORT_SETTINGS
from testkit.readme import DOCS, code_blocks
from testkit.stack.local_run import LocalRun, local_run, ready_run, run_demo

pytestmark = pytest.mark.timeout(180)

ON = {"SAYSO_AUTH": "on"}
IN_ADDRESS = "a-key-in-an-address"


def key_file(run: LocalRun) -> Path:
    """Return where the first key lies."""
    return run.folder / "data" / "admin.key"


async def pasted(run: LocalRun, command: str) -> dict[str, Any]:
    """Run a command in the stack's folder, as one who pastes it; return the JSON that it prints."""
    shell = await asyncio.create_subprocess_shell(command, cwd=run.folder, stdout=asyncio.subprocess.PIPE)
    shown: dict[str, Any] = json.loads((await shell.communicate())[0])
    return shown


async def test_what_the_terminal_shows_works_with_the_first_key(tmp_path: Path) -> None:
    """The commands read it from its file; neither the terminal nor a log has it, nor one of an address. The story has keys of its own."""
    async with ready_run(tmp_path, {**ON, "SAYSO_LOG_LEVEL": "debug"}) as run:
        await ask_with_keys_in_addresses(run)
        key = key_file(run).read_text().strip()
        assert stat.S_IMODE(key_file(run).stat().st_mode) == 0o600
        assert f"lies in {Path('data', 'admin.key')}. Ctrl-C" in run.output
        assert (await pasted(run, run.deciding_command))["last_approval"]["actor"] == "admin"
        await run.says("waiting    response_review")
        shown = run.output.rpartition("to approve: ")[2].partition("\n")[0]
        assert (await pasted(run, shown))["last_approval"]["actor"] == "admin"
        ports = {PORT_SETTINGS[service]: str(port) for service, port in run.addresses.ports.items()}
        code, said = await run_demo({**ports, "SAYSO_DATA_DIR": str(run.folder / "data")})
        assert code == 0, said
        assert "checkpoint_already_decided: ann chose edit" in said
        written = [run.output, said, *(log.read_text() for log in (run.folder / "data" / "logs").glob("*.log"))]
        assert not [text for text in written if key[12:] in text or IN_ADDRESS in text]


async def test_the_walkthrough_leads_to_a_decision_by_two_persons(tmp_path: Path) -> None:
    """Its commands as they are written, all at once: keys, a run that two decide, a second vote that is refused, a key that ends."""
    blocks = [block for block in code_blocks(DOCS / "walkthrough.md", "sh") if "make run" not in block]
    async with ready_run(tmp_path, ON) as run:
        commands = "\n".join(blocks).replace("http://127.0.0.1:8000", run.addresses.http("gateway"))
        shell = await asyncio.create_subprocess_exec(
            *("sh", "-euc", commands.replace(".sayso/", "data/")), cwd=run.folder, stdout=asyncio.subprocess.PIPE
        )
        said = (await shell.communicate())[0].decode()
    assert shell.returncode == 0, said
    assert "\nYou asked: “a reply to the complaint" in said
    told = ("already_voted", " ann vote-cast.v1", " bo checkpoint-approved.v1", "credential_revoked")
    assert [each for each in told if each not in said] == []


async def ask_with_keys_in_addresses(run: LocalRun) -> None:
    """Ask both services wrongly: with something like a key in the address."""
    for service, path in (("gateway", "/me"), ("gateway", "/hitl/runs"), ("notifier", "/hitl/runs/1/events")):
        async with httpx.AsyncClient(base_url=run.addresses.http(service), trust_env=False) as client:
            await client.get(path, params={"api_key": IN_ADDRESS})
    with pytest.raises(InvalidStatus):
        await connect(f"{run.addresses.websocket()}?token={IN_ADDRESS}")


async def test_without_the_first_key_the_stack_goes_on_and_says_what_is_missing(tmp_path: Path) -> None:
    """A later start makes none anew: neither for a file that its owner took away, nor for a key that was revoked."""
    async with ready_run(tmp_path, ON) as first:
        text = key_file(first).read_text()
        key_file(first).unlink()
        await first.interrupt()
    async with ready_run(tmp_path, ON) as second:
        assert f"no sample run: {key_file(second)} is not there" in second.output
        async with httpx.AsyncClient(
            base_url=second.addresses.http("gateway"), headers=headers_of(text.strip()), trust_env=False
        ) as admin:
            (kept,) = (await admin.get("/admin/api-keys")).json()["items"]
            assert (await admin.delete(f"/admin/api-keys/{kept['id']}")).status_code == 204
        assert not key_file(second).exists()
        key_file(second).write_text(text)
        await second.interrupt()
    async with ready_run(tmp_path, ON) as third:
        assert f"the key in {key_file(third)} is refused: The API key was revoked." in third.output
        assert third.output.rstrip().endswith("Authentication is on: every call needs a key. Ctrl-C stops everything.")
        assert key_file(third).read_text() == text


async def test_without_authentication_no_service_listens_beyond_loopback(tmp_path: Path) -> None:
    """One line names the setting, and nothing is started."""
    async with local_run(tmp_path, {"SAYSO_HOST": "0.0.0.0"}) as run:  # noqa: S104 - that it is refused
        assert await run.ends() == 1
        assert run.output.startswith("sayso: SAYSO_AUTH: off is accepted on loopback only, and SAYSO_HOST is 0.0.0.0")
        assert len(run.output.splitlines()) == 1
