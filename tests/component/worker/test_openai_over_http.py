"""The real SDK against the fake OpenAI, over HTTP on loopback."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import openai
import pytest
import pytest_asyncio
from PIL import Image

from contracts.providers.call import CallIntent
from fake_vendors.openai import FakeOpenAI
from provider_worker.providers.base import Audit, Call, ProviderError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.testing.memory import MemoryArtifacts

KEY = "sk-test-very-secret-key"


@pytest_asyncio.fixture
async def provider(vendor_url: str) -> AsyncIterator[OpenAIProvider]:
    """Give a provider whose server is the fake."""
    provider = OpenAIProvider(KEY, vendor_url)
    yield provider
    await provider.close()


async def _ask(
    provider: OpenAIProvider, operation: str = "text", artifacts: MemoryArtifacts | None = None, **given: Any
) -> Audit:
    intent = CallIntent(**{"provider": "openai", "model": "fake-1", "operation": operation, "prompt": "Hello", **given})
    payload = await provider.create_payload(intent, None, [])
    kept = (artifacts or MemoryArtifacts()).of("acme")
    answer = await provider.execute(payload, Call(operation, intent.model, 1, "work-1:1", kept))
    assert answer.request_id
    return await provider.audit_response(operation, payload, answer.raw)


async def test_a_text_is_answered_scored_and_priced(provider: OpenAIProvider) -> None:
    """Through the SDK, from the usage that the server reports."""
    audit = await _ask(provider, model="gpt-5.4-mini", prompt="x" * 400)
    assert audit.response["text"] == "The fake heard 400 characters."
    assert audit.signals.response_quality == 1.0
    assert audit.cost == (100 * Decimal("0.75") + 7 * Decimal("4.50")) / 1_000_000


async def test_structured_output_fits_the_schema(provider: OpenAIProvider) -> None:
    """The schema travels in `response_format` and the value comes back parsed."""
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}
    audit = await _ask(provider, "json", parameters={"schema": schema})
    assert audit.response["json"]["age"] >= 18
    assert audit.signals.response_quality == 1.0


async def test_an_image_is_kept_as_an_artifact(provider: OpenAIProvider) -> None:
    """A real PNG, fetched from the store by the ref in the result."""
    artifacts = MemoryArtifacts()
    audit = await _ask(provider, "image", artifacts, parameters={"size": "96x64", "n": 2})
    assert len(audit.response["images"]) == 2
    _, body = await artifacts.of("acme").read(audit.response["images"][0]) or pytest.fail("kept nowhere")
    assert Image.open(io.BytesIO(body)).size == (96, 64)


async def test_exactly_the_payload_is_sent(provider: OpenAIProvider, vendor_calls: FakeOpenAI) -> None:
    """Member for member, those included that the SDK does not know."""
    payload = {"model": "fake-1", "messages": [{"role": "user", "content": "é"}], "top_k": 4, "x": {"y": [None, 1.5]}}
    await provider.execute(payload, Call("text", "fake-1", 1, "key é", MemoryArtifacts().of("acme")))
    assert vendor_calls.bodies[-1] == payload


async def test_a_429_says_when_to_come_back_and_the_limits_are_kept(provider: OpenAIProvider) -> None:
    """From the headers of the answer, errors included."""
    with pytest.raises(ProviderError) as failed:
        await _ask(provider, model="fault-429")
    assert failed.value.failure.retry_after == 7
    limits = (await provider.get_capabilities()).rate_limit
    assert limits is not None
    assert (limits["limit_requests"], limits["reset_requests"]) == (500, "120ms")


async def test_refusals_and_flags_reach_the_signals(provider: OpenAIProvider) -> None:
    """For policy to look at."""
    refused = await _ask(provider, model="fault-refusal")
    assert refused.response["refused"] is True
    assert refused.signals.response_quality == 0.1
    assert (await _ask(provider, model="fault-length")).signals.response_quality == 0.6
    assert (await _ask(provider, model="fault-flagged")).signals.safety_flags == ("nsfw",)


async def test_a_local_server_needs_no_key(vendor_url: str) -> None:
    """A base URL is enough."""
    provider = OpenAIProvider(None, vendor_url)
    assert (await provider.get_capabilities()).configured
    assert (await _ask(provider)).response["text"]
    await provider.close()


async def test_the_fake_speaks_the_sdk_s_protocol(vendor_url: str) -> None:
    """Read with the SDK's own types, without this provider."""
    async with openai.AsyncOpenAI(api_key="any", base_url=vendor_url, max_retries=0) as client:
        completion = await client.chat.completions.create(model="fake-1", messages=[{"role": "user", "content": "Hi"}])
        assert completion.choices[0].message.content
        assert completion.usage is not None
        images = await client.images.generate(model="gpt-image-2", prompt="a cat", size="1024x1024")
        assert images.data is not None
        assert images.data[0].b64_json
        assert [model.id async for model in client.models.list()]


async def test_a_marked_prompt_fails_only_so_often(provider: OpenAIProvider, vendor_calls: FakeOpenAI) -> None:
    """So that retries can be shown against the fake as well."""
    prompt = "try [fault:500 x1] me"
    with pytest.raises(ProviderError):
        await _ask(provider, prompt=prompt)
    assert (await _ask(provider, prompt=prompt)).response["text"]
    assert json.dumps(vendor_calls.bodies[-1]).count("fault") == 1
