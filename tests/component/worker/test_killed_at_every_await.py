"""A worker that dies at any await of any provider. The vendor counts: no run causes two paid calls without a person's word.

Each vendor's call is carried out again and again, killed at its first wait, its second, and so on until it gets through. The run's
own core decides the next step; the fakes count purchases.
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

from contracts.providers.orders import ExecuteOrder
from contracts.runs import commands as c
from fake_vendors.anthropic import FakeAnthropic
from fake_vendors.faults import FakeServer
from fake_vendors.huggingface import FakeHuggingFace
from fake_vendors.openai import FakeOpenAI
from fake_vendors.replicate import FakeReplicate
from fake_vendors.replicate.models import version_of
from provider_worker.providers.sandbox import SandboxProvider
from testkit.processes.killed_worker import WorkerRun, carry_out
from testkit.runs.commands import again, approve, back_off_ends, lease_ends, prepared, retry, start
from testkit.runs.specification import Story
from testkit.worker.bench import WorkerBench

from .running_worker import KEY, serving

PACE = 0.002
"""Slow enough that each word of a stream is waited for."""


@dataclass(frozen=True)
class Vendor:
    """A fake vendor, and how to call it."""

    provider: str
    operation: str
    server: type[FakeServer]
    settings: Callable[[str], dict[str, str]]
    payload: Callable[[str], dict[str, Any]]
    form: str = "whole"


def _chat(model: str, **members: Any) -> Callable[[str], dict[str, Any]]:
    return lambda prompt: {"model": model, **members, "messages": [{"role": "user", "content": prompt}]}


def _openai(form: str, payload: Callable[[str], dict[str, Any]]) -> Vendor:
    settings = {"openai_api_key": KEY}
    return Vendor("openai", "text", FakeOpenAI, lambda url: {**settings, "openai_base_url": f"{url}/v1"}, payload, form)


def _response(**members: Any) -> Callable[[str], dict[str, Any]]:
    return lambda prompt: {"model": "gpt-5.4-mini", **members, "input": prompt}


def _anthropic(form: str, payload: Callable[[str], dict[str, Any]]) -> Vendor:
    settings = {"anthropic_api_key": KEY}
    return Vendor(
        "anthropic", "text", FakeAnthropic, lambda url: {**settings, "anthropic_base_url": url}, payload, form
    )


def _huggingface(form: str, payload: Callable[[str], dict[str, Any]]) -> Vendor:
    settings = {"hf_token": KEY}
    return Vendor("huggingface", "text", FakeHuggingFace, lambda url: {**settings, "hf_base_url": url}, payload, form)


def _replicate(form: str, payload: Callable[[str], dict[str, Any]]) -> Vendor:
    settings = {"replicate_api_token": KEY}
    return Vendor(
        "replicate", "predict", FakeReplicate, lambda url: {**settings, "replicate_base_url": url}, payload, form
    )


VENDORS = [
    _openai("chat", _chat("gpt-5.4-mini")),
    _openai("streamed chat", _chat("gpt-5.4-mini", stream=True)),
    _openai("streamed response", _response(stream=True)),
    _openai("background", _response(background=True)),
    _openai("streamed background", _response(background=True, stream=True)),
    _anthropic("whole", _chat("claude-haiku-5-5", max_tokens=100)),
    _anthropic("streamed", _chat("claude-haiku-5-5", max_tokens=100, stream=True)),
    _huggingface("whole", _chat("acme/talker")),
    _huggingface("streamed", _chat("acme/talker", stream=True)),
    _replicate("files", lambda prompt: {"version": version_of("acme/painter"), "input": {"prompt": prompt}}),
    _replicate("growing text", lambda prompt: {"model": "acme/writer", "input": {"prompt": prompt}}),
]


@dataclass(frozen=True)
class Market:
    """A vendor that serves and counts purchases."""

    vendor: Vendor
    url: str

    @property
    def settings(self) -> Mapping[str, str]:
        """The worker's settings to call it."""
        return self.vendor.settings(self.url)

    async def bought(self, prompt: str) -> int:
        """Return how often it was called with a prompt."""
        async with httpx.AsyncClient() as http:
            return int((await http.get(f"{self.url}/_prompts")).json().get(prompt, 0))


@pytest_asyncio.fixture(params=VENDORS, ids=[f"{vendor.provider}, {vendor.form}" for vendor in VENDORS])
async def market(request: pytest.FixtureRequest) -> AsyncIterator[Market]:
    """Serve a vendor on loopback."""
    vendor: Vendor = request.param
    async with serving(vendor.server(PACE).app()) as url:
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


async def after(story: Story, life: WorkerRun) -> Story:
    """Return the run after a worker's answers, and after its lease where it was killed; another worker answers a doubted call."""
    for said in life.answers:
        story = story.given(again(c.parse_command(said)))
    if life.killed:
        story = story.given(lease_ends())
    if story.now.attempt is not None and story.now.attempt.doubted:
        other = WorkerBench(SandboxProvider())
        await other.claims.claim([ordered(story)], "the one that was killed")
        await other.take(ordered(story))
        for lost in await other.publisher.until(1):
            story = story.given(again(lost))
    return story


async def test_no_call_is_bought_twice_wherever_the_worker_dies(market: Market) -> None:
    """Killed at each wait in turn: one call at most, until a person says to call again or the vendor could be asked."""
    bought = []
    for kill_at in itertools.count(1):
        prompt = f"a bicycle {uuid4()}"
        story = calling(market.vendor, prompt)
        life = await carry_out(ordered(story), market.settings, kill_at)
        story = await after(story, life)
        assert await market.bought(prompt) <= 1
        if not life.killed:
            break
        bought.append(await market.bought(prompt))
        asks = story.now.resumable is not None
        assert asks or story.now.view.checkpoint is not None, "nobody can know whether it happened"
        again_at = story.given(back_off_ends() if asks else retry())
        assert ordered(again_at).resume == story.now.resumable
        ended = await after(again_at, await carry_out(ordered(again_at), market.settings))
        assert ended.now.view.state == "completed"
        assert await market.bought(prompt) <= (1 if asks else 2), "a second one has a person's word"
    assert story.now.view.state == "completed"
    assert 0 in bought, "killed before it was bought"
    assert 1 in bought, "killed after it was bought"
