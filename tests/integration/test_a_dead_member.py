"""A dead member of the gateways' consumer group delays the read model, and no request."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest_asyncio

from testkit.stack.services import Stack
from testkit.stack.user import User

_MEMBER = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer

async def join():
    consumer = AIOKafkaConsumer(
        "run.events", bootstrap_servers=sys.argv[1], group_id="gateway-views", session_timeout_ms=300_000,
        max_poll_interval_ms=600_000, enable_auto_commit=False,
    )
    await consumer.start()
    print("joined", flush=True)
    await asyncio.Event().wait()

asyncio.run(join())
"""
"""A member with a session timeout of five minutes."""


@pytest_asyncio.fixture
async def dead_member(private_real_stack: Stack) -> AsyncIterator[None]:
    """Kill a member of the gateways' group while no gateway runs."""
    await private_real_stack.services["gateway"].stop()
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MEMBER, private_real_stack.kafka.bootstrap), stdout=asyncio.subprocess.PIPE
    )
    assert member.stdout is not None
    assert (await member.stdout.readline()).strip() == b"joined"
    member.kill()
    await member.wait()
    yield


async def test_a_gateway_takes_requests_before_its_group_has_settled(
    private_real_stack: Stack, dead_member: None
) -> None:
    """The read model waits for the group; starting runs and deciding them does not."""
    del dead_member
    await private_real_stack.restart("gateway")
    user = User(private_real_stack.gateway_url, private_real_stack.ws_url)
    async with user.http:
        run = await user.start(hitl={"policy": "require_human"})
        cancelled = await user.post(run["run_id"], "cancel")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert (await user.http.get(f"/hitl/runs/{run['run_id']}")).status_code == 404, "the group has not settled"
