"""Anthropic's answers as streams, over HTTP on loopback: heard while they come, the same in the end, and cut short."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import anthropic
import pytest
import pytest_asyncio

from contracts.providers.call import CallIntent
from fake_vendors.anthropic import FakeAnthropic
from provider_worker.execution.execute import CallContext, execute
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.base import ProviderError
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.worker.orders import an_execute_order

from .listening import Listener, until

FAKE = FakeAnthropic
"""The fake vendor of this module's tests."""

KEY = "sk-ant-test-very-secret-key"
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[AnthropicProvider]:
    """Give a provider whose server is the fake."""
    provider = AnthropicProvider(KEY, url)
    yield provider
    await provider.close()


async def _payload(provider: AnthropicProvider, operation: str = "text", **given: Any) -> dict[str, Any]:
    said = {"provider": "anthropic", "model": "claude-haiku-5-5", "prompt": "x" * 400, **given}
    return await provider.create_payload(CallIntent(operation=operation, **said), None, [])


async def test_words_are_heard_as_they_come(provider: AnthropicProvider) -> None:
    """More than one, and together they are the answer; the usage is known before the end."""
    listener = Listener()
    payload = await _payload(provider)
    answer = await provider.execute(payload, listener.call())
    audit = await provider.audit_response("text", payload, answer.raw)
    assert listener.text == audit.response["text"] == "The fake heard 400 characters."
    assert len(listener.heard) == 5
    assert listener.progress.usage.items() >= {"input_tokens": 100, "output_tokens": 8}.items()
    assert answer.request_id


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("text", {}),
        ("text", {"model": "fault-max_tokens"}),
        ("text", {"model": "fault-refusal"}),
        ("text", {"model": "fault-thinking_only"}),
        ("json", {"parameters": {"schema": SCHEMA}}),
    ],
    ids=["text", "cut", "refused", "thoughts", "a tool's input"],
)
async def test_a_stream_adds_up_to_the_answer_that_does_not_stream(
    provider: AnthropicProvider, operation: str, given: dict[str, Any]
) -> None:
    """Member for member, so that nothing that reads it knows the difference."""
    payload = await _payload(provider, operation, **given)
    whole = await provider.execute({**payload, "stream": False}, Listener().call())
    told = await provider.execute({**payload, "stream": True}, Listener().call())
    assert told.raw == whole.raw


async def test_only_text_is_told(provider: AnthropicProvider) -> None:
    """Thoughts and a tool's input are counted, since they are paid for, and kept from watchers."""
    for operation, given in (("text", {"model": "fault-thinking_only"}), ("json", {"parameters": {"stream": True}})):
        listener = Listener(operation)
        await provider.execute(await _payload(provider, operation, **given), listener.call())
        assert listener.heard == []
        assert listener.progress.characters > 0


async def test_a_server_that_does_not_stream_is_read_all_the_same(provider: AnthropicProvider) -> None:
    """Its answer comes whole, though the payload asked for a stream."""
    listener = Listener()
    payload = await _payload(provider, prompt="[fault:deaf]")
    assert payload["stream"] is True
    answer = await provider.execute(payload, listener.call())
    assert answer.raw["content"][0]["text"] == "The fake heard 12 characters."
    assert listener.heard == []


async def test_a_call_that_is_cut_short_closes_its_stream_and_says_what_it_cost(
    provider: AnthropicProvider, fake: FakeAnthropic
) -> None:
    """Input tokens as the server counted them, output tokens by length, priced by the table."""
    before = fake.others["disconnects"]
    payload = await _payload(provider, prompt="[fault:stall]" + "x" * 387)
    listener = Listener()
    unfinished = await listener.cut_short(provider, payload, lambda: listener.text == "The fake heard")
    await until(lambda: fake.others["disconnects"] == before + 1)
    spent = await provider.stop(unfinished)
    assert spent.estimated
    assert spent.usage.items() >= {"input_tokens": 100, "output_tokens": 4}.items()
    assert spent.cost == (100 * Decimal("0.1") + 4 * Decimal("0.5")) / 1_000_000
    assert (await provider.execute(await _payload(provider), Listener().call())).raw


async def test_a_stream_that_is_given_up_is_closed(provider: AnthropicProvider, fake: FakeAnthropic) -> None:
    """The server need not go on."""
    before = fake.others["disconnects"]
    with pytest.raises(ProviderError) as failed:
        await provider.execute(await _payload(provider, prompt="[fault:endless]"), Listener().call())
    assert failed.value.failure.code == "response_too_large"
    await until(lambda: fake.others["disconnects"] == before + 1)


async def test_a_stream_that_never_ends_is_closed_when_the_time_for_a_call_is_over(
    provider: AnthropicProvider, fake: FakeAnthropic
) -> None:
    """The call may have happened."""
    before = fake.others["disconnects"]
    listener = Listener()
    payload = await _payload(provider, prompt="[fault:stall]")
    order = an_execute_order(provider="anthropic", model="claude-haiku-5-5", payload=payload)
    around = CallContext(progress=listener.progress, seconds=1)
    with pytest.raises(ProviderError) as failed:
        await execute(order, provider, MemoryArtifacts().of("acme"), Sanitizer(), around)
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("timeout", True)
    await until(lambda: fake.others["disconnects"] == before + 1)


async def test_the_fake_streams_as_the_sdk_reads_it(url: str, provider: AnthropicProvider) -> None:
    """With the SDK's own accumulator, to the same message as ours."""
    payload = await _payload(provider)
    async with anthropic.AsyncAnthropic(api_key="any", base_url=url, max_retries=0) as client:
        told = {name: payload[name] for name in ("model", "max_tokens", "messages")}
        async with client.messages.stream(**told) as stream:
            words = [text async for text in stream.text_stream]
            message = await stream.get_final_message()
    assert "".join(words) == "The fake heard 400 characters."
    answer = await provider.execute(payload, Listener().call())
    assert message.to_dict(exclude_none=False).items() >= answer.raw.items()
