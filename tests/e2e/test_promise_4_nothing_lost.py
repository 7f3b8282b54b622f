"""Promise 4, as users meet it: services, PostgreSQL and Kafka go away and return; nothing is lost, nobody restarts anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local_stack.postgres import Postgres
from support.client import User, until
from support.stack import Stack

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


@pytest_asyncio.fixture
async def cal(private_stack: Stack) -> AsyncIterator[User]:
    """Somebody on a stack of the test's own."""
    user = User(private_stack.gateway_url, private_stack.ws_url, "cal")
    async with user.http:
        yield user


@pytest.mark.parametrize("service", ["orchestrator", "provider_worker", "gateway", "notifier"])
async def test_a_service_killed_in_the_middle_of_runs_loses_none(private_stack: Stack, cal: User, service: str) -> None:
    """Ten runs are under way while a service dies; all of them reach their end."""
    hitl = {**TWO, "lease_seconds": 2, "on_uncertain": "retry"}
    started = [(await cal.start(hitl=hitl))["run_id"] for _ in range(10)]
    private_stack.kill(service)
    await private_stack.restart(service)

    async def finish(run_id: str) -> None:
        for step in ("payload_review", "response_review"):
            await cal.decide(await cal.until(run_id, step), "approve")
        await cal.until(run_id, "completed")

    await asyncio.gather(*(finish(run_id) for run_id in started))


async def test_postgresql_away_is_a_503_and_all_recovers_by_itself(
    private_stack: Stack, cal: User, private_postgres: Postgres
) -> None:
    """Writes and reads say so within the wait; the run that waited goes on when PostgreSQL is back."""
    run_id = (await cal.start(hitl=TWO))["run_id"]
    view = await cal.until(run_id, "payload_review")
    pids = [process.pid for process in private_stack.services]
    await private_postgres.stop()

    async def refused() -> bool | None:
        write = await cal.http.post("/hitl/runs", json={"prompt": "x"})
        read = await cal.http.get(f"/hitl/runs/{run_id}")
        codes = {write.status_code, read.status_code}
        return True if codes == {503} and write.json()["code"] == "unavailable" else None

    await until(refused)
    await private_postgres.start()

    async def accepted() -> bool | None:
        answer = await cal.decide(view, "approve")
        return True if answer.status_code in (200, 409) else None

    await until(accepted)
    await cal.decide(await cal.until(run_id, "response_review"), "approve")
    await cal.until(run_id, "completed")
    assert [process.pid for process in private_stack.services] == pids
