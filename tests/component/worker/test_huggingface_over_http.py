"""The real SDK against the fake HuggingFace, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from huggingface_hub import AsyncInferenceClient
from PIL import Image

from fake_vendors.huggingface import FakeHuggingFace
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.testing.memory import MemoryArtifacts

from .inferences import KEY, a_call, ask

FAKE = FakeHuggingFace
"""The fake vendor of this module's tests."""

CHAT = {
    "model": "acme/tiny:fastest",
    "messages": [{"role": "user", "content": "é", "name": None}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "top_k": 4,
    "x": {"y": [None, 1.5]},
}


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[HuggingFaceProvider]:
    """Give a provider whose server is the fake."""
    provider = HuggingFaceProvider(KEY, url)
    yield provider
    await provider.close()


async def test_a_text_is_answered_scored_and_counted(provider: HuggingFaceProvider) -> None:
    """Through the SDK; no server reports its cost, so it is unknown."""
    audit = await ask(provider, prompt="x" * 400)
    assert audit.response["text"] == "The fake heard 400 characters."
    assert audit.signals.response_quality == 1.0
    assert audit.usage == {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    assert audit.cost is None


async def test_structured_output_fits_the_schema(provider: HuggingFaceProvider) -> None:
    """The schema travels as a grammar, the value comes back parsed and is held against it."""
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}
    audit = await ask(provider, "json", parameters={"schema": schema})
    assert audit.response["json"]["age"] >= 18
    assert audit.signals.response_quality == 1.0


async def test_an_image_is_kept_as_an_artifact(provider: HuggingFaceProvider) -> None:
    """A real PNG, byte for byte as it came, fetched from the store by the ref in the result."""
    artifacts = MemoryArtifacts()
    audit = await ask(provider, "image", artifacts, parameters={"width": 96, "height": 64})
    artifact, body = await artifacts.of("acme").read(audit.response["images"][0]) or pytest.fail("kept nowhere")
    assert artifact.media_type == "image/png"
    assert Image.open(io.BytesIO(body)).size == (96, 64)


@pytest.mark.parametrize(
    ("parameters", "labels"),
    [({}, ["POSITIVE", "NEGATIVE"]), ({"labels": ["refund", "legal", "faq"]}, ["refund", "legal", "faq"])],
    ids=["of its own", "that are given"],
)
async def test_a_text_is_put_under_labels(
    provider: HuggingFaceProvider, parameters: dict[str, Any], labels: list[str]
) -> None:
    """Each with its score, the best first; the best one's score is the confidence."""
    audit = await ask(provider, "classification", parameters=parameters)
    assert [found["label"] for found in audit.response["labels"]] == labels
    assert audit.response["label"] == labels[0]
    assert audit.signals.confidence == audit.response["labels"][0]["score"] == 0.5


@pytest.mark.parametrize(
    ("operation", "payload", "path", "body"),
    [
        (
            "text",
            CHAT,
            "/v1/chat/completions",
            CHAT,
        ),
        (
            "image",
            {"model": "acme/tiny", "inputs": "é", "parameters": {"seed": 1, "x": None}},
            "/models/acme/tiny",
            {"inputs": "é", "parameters": {"seed": 1, "x": None}},
        ),
        (
            "classification",
            {"model": "gpt2", "inputs": "é", "parameters": {}, "options": {"x": [None]}, "y": None},
            "/models/gpt2",
            {"inputs": "é", "parameters": {}, "options": {"x": [None]}, "y": None},
        ),
    ],
    ids=["text", "image", "classification"],
)
async def test_exactly_the_payload_is_sent(
    provider: HuggingFaceProvider,
    fake: FakeHuggingFace,
    operation: str,
    payload: dict[str, Any],
    path: str,
    body: dict[str, Any],
) -> None:
    """Member for member, with nulls and members that the SDK does not know; a pipeline's model is in the address."""
    before = fake.calls[path]
    await provider.execute(payload, a_call(operation))
    assert fake.bodies[-1] == body
    assert fake.calls[path] == before + 1


async def test_the_limits_are_kept(provider: HuggingFaceProvider) -> None:
    """From the headers of an answer, and shown in the capabilities."""
    assert (await provider.get_capabilities()).rate_limit is None
    await ask(provider)
    limits = {"resource": "api", "limit_requests": 500, "remaining_requests": 499}
    assert await provider.get_rate_limit_status() == {**limits, "reset_seconds": 55, "window_seconds": 300}


async def test_how_a_chat_ended_reaches_the_signals(provider: HuggingFaceProvider) -> None:
    """For policy to look at."""
    assert (await ask(provider, model="fault-length")).signals.response_quality == 0.6


async def test_answers_of_calls_at_once_keep_apart(provider: HuggingFaceProvider) -> None:
    """Each has its own text and its own request id, as have calls one after another."""
    payloads = [
        {"model": "acme/tiny", "messages": [{"role": "user", "content": "x" * length}]} for length in range(1, 21)
    ]
    answers = [await provider.execute(payload, a_call("text")) for payload in payloads[:2]]
    answers += await asyncio.gather(*(provider.execute(payload, a_call("text")) for payload in payloads[2:]))
    texts = [answer.raw["choices"][0]["message"]["content"] for answer in answers]
    assert texts == [f"The fake heard {length} characters." for length in range(1, 21)]
    assert len({answer.request_id for answer in answers}) == 20


async def test_the_fake_speaks_the_sdk_s_protocol(url: str) -> None:
    """Read with the SDK's own types, without this provider."""
    async with AsyncInferenceClient(base_url=url, api_key=KEY) as client:
        completion = await client.chat_completion([{"role": "user", "content": "Hi"}])
        assert completion.choices[0].message.content
        assert completion.usage.total_tokens > 0
    async with AsyncInferenceClient(model=f"{url}/models/acme/tiny", api_key=KEY, provider="hf-inference") as client:
        assert (await client.text_classification("Fine"))[0].label == "POSITIVE"
        found = await client.zero_shot_classification("Fine", ["good", "bad"])
        assert [label.label for label in found] == ["good", "bad"]
        assert (await client.text_to_image("a cat", width=32, height=16)).size == (32, 16)
