"""The real SDK against the fake Anthropic, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
import pytest_asyncio

from contracts.providers.call import CallIntent
from fake_vendors.anthropic import FakeAnthropic
from local_stack.ports import free_ports
from local_stack.processes.process import Process, Program
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.anthropic.client import AnthropicClient
from provider_worker.providers.base import Attachment, Audit, Call, ProviderError
from provider_worker.testing.memory import MemoryArtifacts, MemoryTenantArtifacts

from .vendors import hanging_up, nobody_listening, outcome_of

FAKE = FakeAnthropic
"""The fake vendor of this module's tests."""

KEY = "sk-ant-test-very-secret-key"
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 18}},
    "required": ["age"],
}


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[AnthropicProvider]:
    """Give a provider whose server is the fake."""
    provider = AnthropicProvider(KEY, url)
    yield provider
    await provider.close()


def _artifacts() -> MemoryTenantArtifacts:
    return MemoryArtifacts().of("acme")


async def _ask(provider: AnthropicProvider, operation: str = "text", **given: Any) -> Audit:
    named = {"provider": "anthropic", "model": "fake-1", "operation": operation, "prompt": "Hello", **given}
    payload = await provider.create_payload(CallIntent(**named), None, [])
    answer = await provider.execute(payload, Call(operation, named["model"], 1, "work-1:1", _artifacts()))
    assert answer.request_id
    return await provider.audit_response(operation, payload, answer.raw)


class _Hasty(AnthropicProvider):
    """A provider that waits for no more than a moment."""

    def _make_client(self, key: str | None, base_url: str | None) -> AnthropicClient:
        return AnthropicClient(key or KEY, base_url, httpx2.Timeout(10, read=0.2))


@contextlib.asynccontextmanager
async def _facing(fault: str, url: str) -> AsyncIterator[AnthropicProvider]:
    """Give a provider whose call meets the fault: one of the network or the key, or one that the fake plays."""
    async with contextlib.AsyncExitStack() as stack:
        match fault:
            case "wrong key":
                provider = AnthropicProvider("wrong-key", url)
            case "nobody listens":
                provider = AnthropicProvider(None, nobody_listening())
            case "hung up":
                provider = AnthropicProvider(None, await stack.enter_async_context(hanging_up()))
            case "hang" | "stall" | "stall_early":
                provider = _Hasty(KEY, url)
            case _:
                provider = AnthropicProvider(KEY, url)
        stack.push_async_callback(provider.close)
        yield provider


FAULTS = [
    ("nobody listens", "retryable", "connection_failed", 0),
    ("hung up", "uncertain", "connection_lost", 0),
    ("reset", "uncertain", "connection_lost", 1),
    ("hang", "uncertain", "timeout", 1),
    ("wrong key", "failed", "auth_failed", 0),
    ("401", "failed", "auth_failed", 1),
    ("400", "failed", "request_refused", 1),
    ("402", "failed", "quota_exceeded", 1),
    ("403", "failed", "forbidden", 1),
    ("404", "failed", "not_found", 1),
    ("409", "retryable", "provider_error", 1),
    ("413", "failed", "request_refused", 1),
    ("429", "retryable", "rate_limited", 1),
    ("429_bare", "retryable", "rate_limited", 1),
    ("spent", "failed", "quota_exceeded", 1),
    ("500", "retryable", "provider_error", 1),
    ("502", "retryable", "provider_error", 1),
    ("503", "retryable", "provider_error", 1),
    ("504", "uncertain", "timeout", 1),
    ("529", "retryable", "provider_error", 1),
    ("malformed", "failed", "malformed_response", 1),
    ("huge", "failed", "response_too_large", 1),
    ("empty", "failed", "empty_response", 1),
]


IN_A_STREAM = [
    ("stream_error_early", "retryable", "provider_error", 1),
    ("stream_error", "uncertain", "provider_error", 1),
    ("cut_early", "uncertain", "connection_lost", 1),
    ("cut", "uncertain", "connection_lost", 1),
    ("unended_early", "uncertain", "connection_lost", 1),
    ("unended", "uncertain", "connection_lost", 1),
    ("stall_early", "uncertain", "timeout", 1),
    ("stall", "uncertain", "timeout", 1),
    ("malformed_event_early", "failed", "malformed_response", 1),
    ("malformed_event", "failed", "malformed_response", 1),
    ("endless", "failed", "response_too_large", 1),
]


@pytest.mark.parametrize(
    ("streams", "fault", "outcome", "code", "calls"),
    [
        pytest.param(streams, *row, id=f"{'streamed' if streams else 'whole'}, {row[0]}: {row[1]}, {row[2]}")
        for streams, rows in ((False, FAULTS), (True, [*FAULTS, *IN_A_STREAM]))
        for row in rows
    ],
)
async def test_each_fault_has_its_outcome(
    url: str, fake: FakeAnthropic, fault: str, outcome: str, code: str, calls: int, *, streams: bool
) -> None:
    """And the SDK never tries again by itself: one call at most is begun, and no failure shows a key."""
    before = fake.calls.total()
    async with _facing(fault, url) as provider:
        with pytest.raises(ProviderError) as failed:
            await _ask(provider, model=f"fault-{fault}", parameters={"stream": streams})
    failure = failed.value.failure
    assert (outcome_of(failure), failure.code) == (outcome, code)
    assert fake.calls.total() == before + calls
    assert "wrong-key" not in failure.model_dump_json()


async def test_a_429_says_when_to_come_back_and_the_limits_are_kept(provider: AnthropicProvider) -> None:
    """From the headers of the answer, errors included; one that says nothing leaves the wait to the run."""
    with pytest.raises(ProviderError) as failed:
        await _ask(provider, model="fault-429")
    assert failed.value.failure.retry_after == 7
    limits = (await provider.get_capabilities()).rate_limit
    assert limits is not None
    assert (limits["limit_requests"], limits["reset_requests"]) == (1000, "2026-11-01T00:00:00Z")
    with pytest.raises(ProviderError) as failed:
        await _ask(provider, model="fault-429_bare")
    assert failed.value.failure.retry_after is None


async def test_a_text_is_answered_scored_and_priced(provider: AnthropicProvider) -> None:
    """Through the SDK, from the usage that the server reports."""
    audit = await _ask(provider, model="claude-sonnet-5-5", prompt="x" * 400)
    assert audit.response["text"] == "The fake heard 400 characters."
    assert audit.signals.response_quality == 1.0
    assert audit.cost == (100 * Decimal(2) + 8 * Decimal(10)) / 1_000_000


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-fable-5-1"])
async def test_structured_output_fits_the_schema(provider: AnthropicProvider, model: str) -> None:
    """The schema travels as a tool's, forced or not as the model takes it, and the tool's input is the answer."""
    audit = await _ask(provider, "json", model=model, parameters={"schema": SCHEMA})
    assert audit.response["json"]["age"] >= 18
    assert audit.signals.response_quality == 1.0


async def test_text_where_a_tool_was_to_be_used_is_no_json(provider: AnthropicProvider) -> None:
    """It is shown all the same, with the quality it has."""
    audit = await _ask(provider, "json", model="fault-no_tool", parameters={"schema": SCHEMA})
    assert (audit.response["json"], audit.signals.response_quality) == (None, 0.0)
    assert audit.response["text"]


async def test_refusals_and_cut_answers_reach_the_signals(provider: AnthropicProvider) -> None:
    """For policy to look at."""
    refused = await _ask(provider, model="fault-refusal")
    assert refused.response["refused"] is True
    assert refused.signals.safety_flags == ("refusal", "cyber")
    assert refused.signals.response_quality == 0.1
    assert (await _ask(provider, model="fault-max_tokens")).signals.response_quality == 0.6


async def test_exactly_the_payload_is_sent(provider: AnthropicProvider, fake: FakeAnthropic) -> None:
    """Member for member, those included that the SDK does not know."""
    message = {"role": "user", "content": "é"}
    payload = {"model": "fake-1", "max_tokens": 5, "messages": [message], "x": {"y": [None, 1.5]}}
    await provider.execute(payload, Call("text", "fake-1", 1, "key é", _artifacts()))
    assert fake.bodies[-1] == payload


async def test_files_reach_the_server_as_documented_blocks(provider: AnthropicProvider, fake: FakeAnthropic) -> None:
    """With their bytes, before the words that speak of them."""
    artifacts = _artifacts()
    ref = await artifacts.keep(b"%PDF-1.7", "application/pdf")
    intent = CallIntent(provider="anthropic", model="fake-1", operation="text", prompt="Read this")
    payload = await provider.create_payload(intent, None, [Attachment(ref, "application/pdf", 8)])
    await provider.execute(payload, Call("text", "fake-1", 1, "key", artifacts))
    document, text = fake.bodies[-1]["messages"][0]["content"]
    assert base64.b64decode(document["source"]["data"]) == b"%PDF-1.7"
    assert text == {"type": "text", "text": "Read this"}


@pytest.mark.parametrize(
    "member",
    [
        {"temperature": 1},
        {"model": "claude-opus-5-5", "tools": [{"name": "a"}], "tool_choice": {"type": "any"}},
        {"model": "claude-opus-5", "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}},
        {"messages": [{"role": "assistant", "content": "I"}]},
    ],
    ids=["sampling", "force on a model that takes none", "force while it thinks", "an answer first"],
)
async def test_what_the_rules_name_is_what_the_interface_refuses(provider: AnthropicProvider, member: Any) -> None:
    """A payload that they find fault with is refused by the server; Anthropic's own provider names it beforehand."""
    payload = {"model": "fake-1", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **member}
    with pytest.raises(ProviderError) as refused:
        await provider.execute(payload, Call("text", "fake-1", 1, "key", _artifacts()))
    assert refused.value.failure.code == "request_refused"
    own = AnthropicProvider(KEY, None)
    assert await own.validate_payload("text", payload)
    await own.close()


async def test_a_local_server_needs_no_key(url: str) -> None:
    """A base URL is enough."""
    provider = AnthropicProvider(None, url)
    assert (await provider.get_capabilities()).configured
    assert (await _ask(provider)).response["text"]
    await provider.close()


async def test_the_fake_speaks_the_sdk_s_protocol(url: str) -> None:
    """Read with the SDK's own types, without this provider."""
    async with anthropic.AsyncAnthropic(api_key="any", base_url=url, max_retries=0) as client:
        told = await client.messages.create(model="fake-1", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
        assert isinstance(told.content[0], anthropic.types.TextBlock)
        assert (told.stop_reason, told.usage.input_tokens) == ("end_turn", 1)
        used = await client.messages.create(
            model="fake-1",
            max_tokens=9,
            messages=[{"role": "user", "content": "Hi"}],
            tools=[{"name": "tell", "input_schema": SCHEMA}],
        )
        assert isinstance(used.content[0], anthropic.types.ToolUseBlock)
        with pytest.raises(anthropic.OverloadedError) as overloaded:
            await client.messages.create(model="fault-529", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
        assert (overloaded.value.type, overloaded.value.request_id) != (None, None)


async def test_a_marked_prompt_fails_only_so_often(provider: AnthropicProvider) -> None:
    """So that retries can be shown against the fake as well."""
    prompt = "try [fault:529 x1] me"
    with pytest.raises(ProviderError):
        await _ask(provider, prompt=prompt)
    assert (await _ask(provider, prompt=prompt)).response["text"]


async def test_the_fake_runs_as_a_program(tmp_path: Path) -> None:
    """And counts its calls by path and by prompt, until it is told to forget."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "fake_vendors.anthropic", "--port", port, "--pace", "0"]
    process = Process(Program("fake-anthropic", command, tmp_path / "anthropic.log"))
    process.start()
    provider = AnthropicProvider(None, f"http://127.0.0.1:{port}")
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await _until_it_listens(http)
            await _ask(provider, prompt="Hi")
            assert (await http.get("/_calls")).json() == {"/v1/messages": 1, "total": 1}
            assert (await http.get("/_prompts")).json() == {"Hi": 1}
            assert (await http.delete("/_calls")).json() == {"total": 0}
    finally:
        await provider.close()
        await process.stop()


async def _until_it_listens(http: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await http.get("/_calls")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
