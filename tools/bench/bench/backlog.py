"""The case of a backlog: start commands pile up while no orchestrator runs, then one decides them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg

from bench.driver.reviewers import START
from bench.system.system import System
from contracts.runs.commands import StartRun
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS
from messaging.producer import Producer
from messaging.records import Outgoing, key_of


async def decide_backlog(system: System, count: int) -> float:
    """Write `count` commands while no orchestrator runs; return the seconds from an orchestrator's start until all are decided."""
    await system.services["orchestrator"].stop()
    began = await _runs(system)
    await _pile_up(system.kafka.bootstrap, count)
    clock = time.perf_counter()
    system.services["orchestrator"].start()
    while await _runs(system) < began + count:  # noqa: ASYNC110 - another process decides them
        await asyncio.sleep(0.1)
    took = time.perf_counter() - clock
    while await _pending(system) < count:  # noqa: ASYNC110 - the next case needs an idle machine
        await asyncio.sleep(0.5)
    return took


async def _runs(system: System) -> int:
    return await _count(system, "SELECT count(*) FROM ledger.commits WHERE version = 1")


async def _pending(system: System) -> int:
    return await _count(system, "SELECT count(*) FROM views.hitl_pending_approvals")


async def _count(system: System, query: str) -> int:
    connection = await asyncpg.connect(system.database_url)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def _pile_up(bootstrap: str, count: int) -> None:
    producer = Producer(bootstrap, "bench")
    await producer.start()
    request = RunRequest.model_validate(START)
    try:
        commands = (
            StartRun(command_id=uuid4(), run_id=uuid4(), at=datetime.now(UTC), request=request) for _ in range(count)
        )
        records = (
            Outgoing(COMMANDS.name, key_of(command.run_id), command.model_dump_json().encode()) for command in commands
        )
        await asyncio.gather(*await producer.send_all(records))
    finally:
        await producer.stop()
