"""A20: a worker that dies at any await of any provider. The vendor counts: no run causes two paid calls without a person's word.

Each vendor's call is carried out again and again, killed at its first wait, its second, and so on until it gets through. The run's
own core decides what follows; the fakes say what was bought.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from component.worker.workshop import KEY, serving
from contracts.runs import commands as c
from contracts.work import ExecuteOrder
from provider_worker.fakes.anthropic import FakeAnthropic
from provider_worker.fakes.faults import FakeServer
from provider_worker.fakes.huggingface import FakeHuggingFace
from provider_worker.fakes.openai import FakeOpenAI
from provider_worker.fakes.replicate import FakeReplicate
from provider_worker.fakes.replicate_models import version_of
from support.asking import again, approve, back_off_ends, lease_ends, prepared, retry, start
from support.deciding import Story
from support.dying import Life, carry_out


@dataclass(frozen=True)
class Vendor:
    """A fake vendor, and how to call it."""

    provider: str
    operation: str
    server: type[FakeServer]
    settings: Callable[[str], dict[str, str]]
    payload: Callable[[str], dict[str, Any]]


def _chat(model: str, **members: Any) -> Callable[[str], dict[str, Any]]:
    return lambda prompt: {"model": model, **members, "messages": [{"role": "user", "content": prompt}]}


VENDORS = [
    Vendor(
        "openai",
        "text",
        FakeOpenAI,
        lambda url: {"openai_base_url": f"{url}/v1", "openai_api_key": KEY},
        _chat("gpt-5.4-mini"),
    ),
    Vendor(
        "anthropic",
        "text",
        FakeAnthropic,
        lambda url: {"anthropic_base_url": url, "anthropic_api_key": KEY},
        _chat("claude-haiku-5-5", max_tokens=100),
    ),
    Vendor(
        "huggingface",
        "text",
        FakeHuggingFace,
        lambda url: {"hf_base_url": url, "hf_token": KEY},
        _chat("acme/talker"),
    ),
    Vendor(
        "replicate",
        "predict",
        FakeReplicate,
        lambda url: {"replicate_base_url": url, "replicate_api_token": KEY},
        lambda prompt: {"version": version_of("acme/painter"), "input": {"prompt": prompt}},
    ),
]


@dataclass(frozen=True)
class Market:
    """A vendor that serves, and counts what is bought."""

    vendor: Vendor
    url: str

    @property
    def settings(self) -> Mapping[str, str]:
        """What a worker must know to call it."""
        return self.vendor.settings(self.url)

    async def bought(self, prompt: str) -> int:
        """Return how often it was called with a prompt."""
        async with httpx.AsyncClient() as http:
            return int((await http.get(f"{self.url}/_prompts")).json().get(prompt, 0))


@pytest_asyncio.fixture(params=VENDORS, ids=[vendor.provider for vendor in VENDORS])
async def market(request: pytest.FixtureRequest) -> AsyncIterator[Market]:
    """Serve a vendor on loopback."""
    vendor: Vendor = request.param
    async with serving(vendor.server().app()) as url:
        yield Market(vendor, url)


def ordered(story: Story) -> ExecuteOrder:
    """Return the call that the run waits for."""
    (order,) = story.orders(since=story.now.version - 1)
    assert isinstance(order, ExecuteOrder)
    return order


def calling(vendor: Vendor, prompt: str) -> Story:
    """Return a run whose payload a person approved just now."""
    payload = vendor.payload(prompt)
    facts = {
        "provider": vendor.provider,
        "operation": vendor.operation,
        "model": payload.get("model"),
        "payload": payload,
    }
    asked = start({"prompt": prompt, "provider": vendor.provider}, allowed_steps=("payload_review",))
    return Story(at=datetime.now(UTC)).given(asked, prepared(**facts, payload_schema={}), approve())


def after(story: Story, life: Life) -> Story:
    """Return the run after what a worker said, and after its silence where it was killed."""
    for said in life.said:
        story = story.given(again(c.parse_command(said)))
    return story.given(lease_ends()) if life.killed else story


async def test_no_call_is_bought_twice_wherever_the_worker_dies(market: Market) -> None:
    """Killed at each wait in turn: one call at most, until a person says to call again or the vendor could be asked."""
    bought = []
    for kill_at in itertools.count(1):
        prompt = f"a bicycle {uuid4()}"
        story = calling(market.vendor, prompt)
        life = await carry_out(ordered(story), market.settings, kill_at)
        story = after(story, life)
        assert await market.bought(prompt) <= 1
        if not life.killed:
            break
        bought.append(await market.bought(prompt))
        asks = story.now.resumable is not None
        assert asks or story.now.view.checkpoint is not None, "nobody can know whether it happened"
        again_at = story.given(back_off_ends() if asks else retry())
        assert ordered(again_at).resume == story.now.resumable
        ended = after(again_at, await carry_out(ordered(again_at), market.settings))
        assert ended.now.view.state == "completed"
        assert await market.bought(prompt) <= (1 if asks else 2), "a second one has a person's word"
    assert story.now.view.state == "completed"
    assert 0 in bought, "killed before it was bought"
    assert 1 in bought, "killed after it was bought"
