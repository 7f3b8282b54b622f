"""HuggingFace's chats as streams, over HTTP on loopback: heard while they come, the same in the end, and cut short."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from huggingface_hub import AsyncInferenceClient

from contracts.providers.call import CallIntent, Spent
from fake_vendors.huggingface import FakeHuggingFace
from provider_worker.providers.base import ProviderError
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.huggingface.client import ChatReply
from provider_worker.providers.progress import Unfinished

from .listening import Listener, until

FAKE = FakeHuggingFace
"""The fake vendor of this module's tests."""

KEY = "hf_test_very_secret_token"
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}


@pytest_asyncio.fixture
async def provider(url: str, tmp_path: Path) -> AsyncIterator[HuggingFaceProvider]:
    """Give a provider whose server is the fake, and whose operator has stated a price."""
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"huggingface": {"acme/tiny": {"input": "1", "output": "5"}}}))
    provider = HuggingFaceProvider(KEY, url, own)
    yield provider
    await provider.close()


async def _payload(provider: HuggingFaceProvider, operation: str = "text", **given: Any) -> dict[str, Any]:
    said = {"provider": "huggingface", "model": "acme/tiny", "prompt": "x" * 400, **given}
    return await provider.create_payload(CallIntent(operation=operation, **said), None, [])


async def test_words_are_heard_as_they_come(provider: HuggingFaceProvider, fake: FakeHuggingFace) -> None:
    """More than one, and together they are the answer; exactly the payload was sent, its wish for a stream included."""
    listener, payload = Listener(), await _payload(provider)
    answer = await provider.execute(payload, listener.call())
    audit = await provider.audit_response("text", payload, answer.raw)
    assert listener.text == audit.response["text"] == "The fake heard 400 characters."
    assert len(listener.heard) == 5
    assert listener.progress.usage == {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    assert answer.request_id
    assert fake.bodies[-1] == payload
    assert payload["stream"] is True


@pytest.mark.parametrize(
    ("operation", "given"),
    [("text", {}), ("text", {"prompt": "[fault:length]"}), ("json", {"parameters": {"schema": SCHEMA}})],
    ids=["text", "cut", "JSON"],
)
async def test_a_stream_adds_up_to_the_answer_that_does_not_stream(
    provider: HuggingFaceProvider, operation: str, given: dict[str, Any]
) -> None:
    """A reader sees no difference."""
    payload = await _payload(provider, operation, **given)
    asked = [{**payload, "stream": False}, {**payload, "stream": True, "stream_options": {"include_usage": True}}]
    answers = [await provider.execute(one, Listener(operation).call()) for one in asked]
    whole, told = [await provider.audit_response(operation, payload, answer.raw) for answer in answers]
    assert told == whole


async def test_structured_output_streams_only_when_asked_to(provider: HuggingFaceProvider) -> None:
    """No reader gets half of it."""
    assert "stream" not in await _payload(provider, "json")
    assert (await _payload(provider, parameters={"stream": False}))["stream"] is False


async def test_a_server_that_does_not_stream_is_read_all_the_same(provider: HuggingFaceProvider) -> None:
    """Its answer comes whole, though the payload asked for a stream."""
    listener = Listener()
    answer = await provider.execute(await _payload(provider, prompt="[fault:deaf]"), listener.call())
    assert answer.raw["choices"][0]["message"]["content"] == "The fake heard 12 characters."
    assert listener.heard == []


async def test_a_call_that_is_cut_short_closes_its_stream_and_says_what_it_cost(
    provider: HuggingFaceProvider, fake: FakeHuggingFace
) -> None:
    """By the length of prompt and text, at the operator's prices."""
    before, listener = fake.others["disconnects"], Listener()
    payload = await _payload(provider, prompt="[fault:stall]" + "x" * 387)
    unfinished = await listener.cut_short(provider, payload, lambda: listener.text == "The fake heard")
    await until(lambda: fake.others["disconnects"] == before + 1)
    spent = await provider.stop(unfinished)
    assert (spent.estimated, spent.cost) == (True, (101 + 4 * 5) / Decimal(1_000_000))
    assert (await provider.execute(await _payload(provider), Listener().call())).raw


async def test_a_stream_that_is_given_up_is_closed(provider: HuggingFaceProvider, fake: FakeHuggingFace) -> None:
    """The server need not go on."""
    before = fake.others["disconnects"]
    with pytest.raises(ProviderError) as failed:
        await provider.execute(await _payload(provider, prompt="[fault:endless]"), Listener().call())
    assert failed.value.failure.code == "response_too_large"
    await until(lambda: fake.others["disconnects"] == before + 1)


async def test_what_is_not_counted_in_tokens_has_no_known_cost(provider: HuggingFaceProvider) -> None:
    """Nothing is claimed."""
    assert await provider.stop(Unfinished("image", None, {"model": "acme/tiny", "inputs": "a cat"})) == Spent()


async def test_letters_that_end_lines_elsewhere_do_not_end_an_event() -> None:
    """Servers send them as they are: an event ends with a line of its own alone."""
    said = {"a": "one\u2028two\x85three"}
    told = f"data: {json.dumps(said, ensure_ascii=False)}\n\ndata: [DONE]\n\ndata: {{}}\n\n"
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    request = httpx2.Request("POST", "http://127.0.0.1")
    coming = ChatReply(httpx2.Response(200, headers=headers, content=told.encode(), request=request))
    assert [chunk async for chunk in coming.chunks()] == [said]


async def test_the_fake_streams_as_the_sdk_reads_it(url: str) -> None:
    """With the SDK's own types."""
    async with AsyncInferenceClient(base_url=url, api_key=KEY) as client:
        stream = await client.chat_completion([{"role": "user", "content": "Hi"}], stream=True)
        said = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
    assert "".join(word or "" for word in said) == "The fake heard 2 characters."
