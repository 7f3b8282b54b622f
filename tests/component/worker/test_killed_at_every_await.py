"""A20: a worker that dies at any await of any provider. The vendor counts: no run causes two paid calls without a person's word.

Each vendor's call is carried out again and again, killed at its first wait, its second, and so on until it gets through. The run's
own core decides what follows; the fakes say what was bought.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from component.worker.workshop import KEY, serving
from contracts.policy import Step
from contracts.runs import commands as c
from contracts.work import ExecuteOrder
from provider_worker.fakes.openai import FakeOpenAI
from support.asking import again, approve, lease_ends, prepared, retry, start
from support.deciding import Story
from support.dying import Life, carry_out


@dataclass(frozen=True)
class Vendor:
    """A fake vendor, how to call it, and how to ask what was bought."""

    provider: str
    operation: str
    settings: Mapping[str, str]
    url: str

    def payload(self, prompt: str) -> dict[str, Any]:
        """Return a payload with a prompt that no other run has."""
        return {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": prompt}]}

    async def bought(self, prompt: str) -> int:
        """Return how often it was called with a prompt."""
        async with httpx.AsyncClient() as http:
            return int((await http.get(f"{self.url}/_prompts")).json().get(prompt, 0))


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """Serve the vendor on loopback."""
    async with serving(FakeOpenAI().app()) as url:
        yield Vendor("openai", "text", {"openai_base_url": f"{url}/v1", "openai_api_key": KEY}, url)


def ordered(story: Story) -> ExecuteOrder:
    """Return the call that the run waits for."""
    (order,) = story.orders(since=story.now.version - 1)
    assert isinstance(order, ExecuteOrder)
    return order


def calling(vendor: Vendor, prompt: str) -> Story:
    """Return a run whose payload a person approved just now."""
    facts = {"provider": vendor.provider, "operation": vendor.operation, "payload": vendor.payload(prompt)}
    asked = start({"prompt": prompt, "provider": vendor.provider}, allowed_steps=("payload_review",))
    return Story(at=datetime.now(UTC)).given(asked, prepared(**facts, payload_schema={}), approve())


def after(story: Story, life: Life) -> Story:
    """Return the run after what a worker said, and after its silence where it was killed."""
    for said in life.said:
        story = story.given(again(c.parse_command(said)))
    return story.given(lease_ends()) if life.killed else story


async def test_no_call_is_bought_twice_wherever_the_worker_dies(vendor: Vendor) -> None:
    """Killed at each wait in turn: at most one call, and a person is asked wherever it may have happened."""
    waits = []
    for kill_at in itertools.count(1):
        prompt = f"a bicycle {uuid4()}"
        story = calling(vendor, prompt)
        life = await carry_out(ordered(story), vendor.settings, kill_at)
        story = after(story, life)
        assert await vendor.bought(prompt) <= 1
        if not life.killed:
            assert story.now.view.state == "completed"
            break
        assert story.now.view.checkpoint is not None, "nobody can know whether it happened"
        assert story.now.view.checkpoint.step is Step.ERROR_REVIEW
        waits.append(await vendor.bought(prompt))
        told = story.given(retry())
        assert after(told, await carry_out(ordered(told), vendor.settings)).now.view.state == "completed"
        assert await vendor.bought(prompt) <= 2, "a person said so"
    assert 0 in waits, "killed before it was bought"
    assert 1 in waits, "killed after it was bought"
