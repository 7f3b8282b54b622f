"""Services, PostgreSQL and Kafka become unavailable and return: no run is lost, and no service needs a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from apache_kafka.broker import RealKafka
from local_stack.postgres.server import Postgres
from testkit.stack.services import Stack
from testkit.stack.user import User, until

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


@pytest_asyncio.fixture
async def cal(private_stack: Stack) -> AsyncIterator[User]:
    """Make a user on a stack of the test's own."""
    user = User(private_stack.gateway_url, private_stack.ws_url, "cal")
    async with user.http:
        yield user


async def test_services_killed_in_the_middle_of_runs_lose_none(private_stack: Stack, cal: User) -> None:
    """Ten runs are under way while a service dies, one service after the other; all of them reach their end."""
    hitl = {**TWO, "lease_seconds": 5, "max_attempts": 10, "on_uncertain": "retry"}

    async def finish(run_id: str) -> None:
        for step in ("payload_review", "response_review"):
            await cal.decide(await cal.until(run_id, step), "approve")
        await cal.until(run_id, "completed")

    for service in ("orchestrator", "provider-worker", "gateway", "notifier"):
        started = [(await cal.start(hitl=hitl))["run_id"] for _ in range(10)]
        private_stack.kill(service)
        await private_stack.restart(service)
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


async def test_kafka_away_is_a_503_within_the_wait_and_all_recovers_by_itself(
    private_real_stack: Stack, private_kafka: RealKafka
) -> None:
    """Writes answer so and reads go on; when Kafka is back the waiting run goes on, without a restart of a service."""
    dan = User(private_real_stack.gateway_url, private_real_stack.ws_url, "dan")
    run_id = (await dan.start(hitl=TWO))["run_id"]
    view = await dan.until(run_id, "payload_review")
    pids = [process.pid for process in private_real_stack.services]
    private_kafka.kill()
    write = await dan.http.post("/hitl/runs", json={"prompt": "x"})
    assert (write.status_code, write.json()["code"]) == (503, "unavailable")
    assert (await dan.http.get(f"/hitl/runs/{run_id}")).status_code == 200
    await private_kafka.start()

    async def accepted() -> bool | None:
        return True if (await dan.decide(view, "approve")).status_code in (200, 409) else None

    await until(accepted)
    await dan.decide(await dan.until(run_id, "response_review"), "approve")
    await dan.until(run_id, "completed")
    assert [process.pid for process in private_real_stack.services] == pids
    await dan.http.aclose()
