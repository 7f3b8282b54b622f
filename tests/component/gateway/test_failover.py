"""A database that fails over, is read-only, or is swallowed by the network: every service says so, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest_asyncio

from local_stack.services import MODULES
from testkit.kafka.servers import Kafka
from testkit.postgres.failover import FailoverProxy, failover_proxy
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User, until

from .over_http import PAYLOAD

ANSWER_SECONDS = 2.0
"""How long those who ask for readiness wait for an answer."""

SLACK_SECONDS = 1.0
"""What a machine that does other work as well may add to it."""


PARAMETERS = "sslmode=prefer&channel_binding=prefer&connect_timeout=3&gssencmode=prefer&keepalives_idle=30"
"""Of these each driver knows some."""


@pytest_asyncio.fixture
async def proxy(postgres_url: str) -> AsyncIterator[FailoverProxy]:
    """Stand before the database of the services."""
    async with failover_proxy(postgres_url) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def stack(kafka_bootstrap: str, proxy: FailoverProxy, tmp_path: Path) -> AsyncIterator[Stack]:
    """Run the services through the proxy."""
    kafka = Kafka(kafka_bootstrap, embedded=False, log_id=None)
    settings = {"SAYSO_OUTCOME_WAIT_SECONDS": "2"}
    async with running_stack(kafka, f"{proxy.url}?{PARAMETERS}\n", tmp_path / "services", settings) as stack:
        yield stack


@asynccontextmanager
async def user_of(stack: Stack) -> AsyncIterator[User]:
    """Give a user of the stack."""
    user = User(stack.gateway_url, stack.ws_url, "ada")
    async with user.http:
        yield user


async def readiness(stack: Stack, service: str) -> tuple[int, dict[str, str], float]:
    """Return a service's answer to the question whether it is ready: the status, the checks, the seconds."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        answer = await client.get(f"{stack.url(service)}/health/ready")
    return answer.status_code, answer.json()["checks"], time.monotonic() - began


def readiness_is(stack: Stack, status: int) -> Callable[[], Awaitable[bool | None]]:
    """Return a question: whether every service answers so, in time."""

    async def ask() -> bool | None:
        answers = {service: await readiness(stack, service) for service in MODULES}
        late = {service: took for service, (_, _, took) in answers.items() if took > ANSWER_SECONDS + SLACK_SECONDS}
        assert not late
        return all(found == status for found, _, _ in answers.values()) or None

    return ask


async def completes(ada: User) -> None:
    """Let a run pass its review, its call and its end: every service writes for it."""
    view = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
    assert (await ada.decide(view, "approve")).status_code == 200
    await ada.until(view["run_id"], "completed")


async def test_all_services_start_on_what_one_driver_alone_would_refuse(stack: Stack) -> None:
    """Parameters of either driver and a newline at the end: all services are ready, and a run passes through them."""
    async with user_of(stack) as ada:
        await completes(ada)


async def test_all_services_work_behind_a_pooler_in_transaction_mode(
    kafka_bootstrap: str, postgres_url: str, tmp_path: Path
) -> None:
    """With `pgbouncer=true` no statement counts on the session of the one before it."""
    kafka = Kafka(kafka_bootstrap, embedded=False, log_id=None)
    async with (
        running_stack(kafka, f"{postgres_url}?pgbouncer=true", tmp_path / "services") as stack,
        user_of(stack) as ada,
    ):
        await completes(ada)


async def test_a_database_that_failed_over_is_written_to_again_within_seconds(
    stack: Stack, proxy: FailoverProxy
) -> None:
    """While new sessions are read-only no service says that it is ready; once they write, runs pass through all services, unrestarted."""
    async with user_of(stack) as ada:
        await completes(ada)
        pids = {service: stack.services[service].pid for service in MODULES}
        await proxy.demote()
        await until(readiness_is(stack, 503))
        assert (await ada.http.post("/hitl/runs", json={"prompt": "x"})).status_code == 503
        proxy.promote()
        began = time.monotonic()
        await until(readiness_is(stack, 200))
        await completes(ada)
        assert time.monotonic() - began < 15
        assert {service: stack.services[service].pid for service in MODULES} == pids


async def test_sessions_that_stay_read_only_are_left(stack: Stack, postgres_url: str) -> None:
    """Every open session becomes read-only where it stands, as behind a pooler; the next one of each service writes."""
    async with user_of(stack) as ada:
        await completes(ada)
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            await connection.execute("SELECT pg_reload_conf()")
            await until(readiness_is(stack, 503))
            checks = (await readiness(stack, "gateway"))[1]
            assert "writes" in checks["postgresql"] or "read" in checks["postgresql"]
        finally:
            await connection.execute("SET default_transaction_read_only = off")
            await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.close()
        await until(readiness_is(stack, 200))
        await completes(ada)


async def test_readiness_answers_in_time_while_the_network_swallows_the_database(
    stack: Stack, proxy: FailoverProxy
) -> None:
    """No connection ends and no byte comes back: each service says within 2 s that it cannot work, and works again afterwards."""
    async with user_of(stack) as ada:
        await completes(ada)
        proxy.swallow()
        await until(readiness_is(stack, 503))
        proxy.flow()
        await until(readiness_is(stack, 200))
        await completes(ada)


async def test_a_slow_query_of_one_is_no_outage_for_others(stack: Stack, postgres_url: str) -> None:
    """A list that waits for a lock is refused after its time; meanwhile and afterwards others read and write, and the gateway is ready."""
    async with user_of(stack) as ada:
        view = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
        holder = await asyncpg.connect(postgres_url)
        try:
            async with holder.transaction():
                await holder.execute("LOCK TABLE views.hitl_approvals, views.hitl_pending_approvals")
                slow = await ada.http.get("/hitl/approvals", timeout=30)
                assert slow.status_code == 503
                assert "in time" in slow.json()["detail"]
                assert (await ada.http.get(f"/hitl/runs/{view['run_id']}")).status_code == 200
                assert (await ada.http.post("/hitl/runs", json={"prompt": "x"})).status_code in (201, 202)
        finally:
            await holder.close()
        await until(readiness_is(stack, 200))
