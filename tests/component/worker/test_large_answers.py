"""Large answers that were paid for are kept, at every vendor that sends files within an answer, up to what is read of one."""

from __future__ import annotations

import base64
import json

import pytest
from starlette.responses import Response

from provider_worker.providers.base import AIProvider, Call, ProviderError
from provider_worker.providers.http.errors.failures import MAX_RESPONSE_BYTES
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.testing.memory import MemoryArtifacts

from .running_worker import serving
from .vendors import Scripted

PNG = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


def _json(body: object) -> Response:
    return Response(json.dumps(body), media_type="application/json")


async def _images(
    provider: AIProvider, artifacts: MemoryArtifacts, payload: dict[str, str], operation: str = "image"
) -> list[int]:
    answer = await provider.execute(payload, Call(operation, "m", 1, "work-1:1", artifacts.of("acme")))
    audit = await provider.audit_response(operation, payload, answer.raw)
    await provider.close()
    found = [await artifacts.of("acme").find(ref) for ref in audit.response["images"]]
    return [image.size if image else -1 for image in found]


async def test_large_images_of_openai_are_kept() -> None:
    """Four of 7 MiB make an answer of 38 MiB."""
    server, artifacts = Scripted(), MemoryArtifacts()
    images = [PNG + bytes([number]) * (7 * MIB) for number in range(4)]
    body = _json({"data": [{"b64_json": base64.b64encode(image).decode()} for image in images]})
    server.answer = lambda: body
    async with serving(server.app()) as url:
        provider = OpenAIProvider("sk-a-key", f"{url}/v1")
        assert await _images(provider, artifacts, {"model": "m", "prompt": "x"}) == [len(image) for image in images]
    assert server.calls == 1


async def test_a_large_image_of_huggingface_is_kept() -> None:
    """One of 30 MiB: there is no link to it, so the store takes it whatever its limit for uploads is."""
    server, artifacts = Scripted(), MemoryArtifacts()
    server.answer = lambda: Response(PNG + bytes(30 * MIB), media_type="image/png")
    async with serving(server.app()) as url:
        provider = HuggingFaceProvider("hf_a_key", url)
        assert await _images(provider, artifacts, {"model": "a/b", "inputs": "x"}) == [30 * MIB + len(PNG)]
    assert server.calls == 1


async def test_an_answer_beyond_what_is_read_says_that_it_is_paid_for() -> None:
    """So that a person knows that asking again pays again. It is not tried again by itself."""
    server = Scripted()
    server.answer = lambda: Response(b" " * (MAX_RESPONSE_BYTES + 1), media_type="application/json")
    async with serving(server.app()) as url:
        provider = OpenAIProvider("sk-a-key", f"{url}/v1")
        with pytest.raises(ProviderError) as failed:
            await _images(provider, MemoryArtifacts(), {"model": "m", "prompt": "x"})
        await provider.close()
    failure = failed.value.failure
    assert (failure.code, failure.retryable) == ("response_too_large", False)
    assert "paid for" in failure.message
