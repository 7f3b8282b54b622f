"""Refused commands delivered again when they would be allowed: refused again, never accepted."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from aiokafka import ConsumerRecord

from chaos.clients.load import Load
from chaos.clients.stories import HITL
from chaos.faults import Fault
from chaos.faults.traffic.deliveries import write_again
from chaos.system.stage import Stage
from contracts.runs.commands import ApproveCheckpoint, ResumeRun, parse_command
from contracts.topics import COMMANDS
from local_stack.wait import until
from testkit.stack.orchestrators import Listener
from testkit.stack.user import User

RUNS = 8


async def delivered_again(stage: Stage, load: Load) -> None:
    """Provoke refusals, move the runs on to where the commands would be allowed, and deliver them again."""
    user = stage.user()
    async with user.http, Listener(stage.bootstrap, COMMANDS.name) as listener:
        await asyncio.gather(*(_one(stage, user, listener) for _ in range(RUNS)))
    await load.runs_in_progress_end()


async def _one(stage: Stage, user: User, listener: Listener) -> None:
    run_id = (await user.start(hitl=HITL))["run_id"]
    await user.until(run_id, "information_review")
    assert (await user.post(run_id, "resume")).status_code == 409, "it is not paused"
    assert (await user.post(run_id, "pause")).status_code == 200
    assert (await user.post(run_id, "approve")).status_code == 409, "it is paused"
    await _again(stage, listener, run_id, ResumeRun)
    assert (await _view(user, run_id))["paused"], "what was refused stays refused"
    assert (await user.post(run_id, "resume")).status_code == 200
    await _again(stage, listener, run_id, ApproveCheckpoint)
    view = await _view(user, run_id)
    assert (view["state"], view["last_approval"]) == ("information_review", None), "the same"
    assert (await user.post(run_id, "cancel")).status_code == 200


async def _again(stage: Stage, listener: Listener, run_id: str, kind: type[Any]) -> None:
    """Deliver the run's first command of a kind again; return when its offset is decided."""

    def commands_of_kind() -> list[ConsumerRecord]:
        commands = [record for record in listener.heard if record.key == run_id.encode()]
        return [record for record in commands if isinstance(parse_command(record.value), kind)]

    await until(lambda: bool(commands_of_kind()), 20, "the command is read")
    before = len(commands_of_kind())
    await write_again(stage.bootstrap, commands_of_kind()[:1])
    await until(lambda: len(commands_of_kind()) > before, 20, "the copy is read")
    copy = commands_of_kind()[-1]

    async def decided() -> bool:
        async with stage.sql() as sql:
            position = await sql.fetchval(
                "SELECT position FROM ledger.intake WHERE topic = $1 AND partition = $2", COMMANDS.name, copy.partition
            )
        return bool(position > copy.offset)

    await until(decided, 20, "the copy is decided")


async def _view(user: User, run_id: str) -> dict[str, Any]:
    """Read the view at the orchestrator's version: the refusal of `retry` waits for the commands before it."""
    answer: httpx.Response = await user.post(run_id, "retry")
    assert answer.status_code == 409
    history = await user.history(run_id)
    return await user.view(run_id, history[-1]["version"])


FAULTS = [Fault("deliveries: refused commands again when they would be allowed", delivered_again)]
