"""An answer is there with its last event, whether or not the server closes the connection then. Over HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from contracts.providers.call import CallIntent
from fake_vendors.anthropic import FakeAnthropic
from fake_vendors.faults import FakeServer
from fake_vendors.huggingface import FakeHuggingFace
from fake_vendors.openai import FakeOpenAI
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.base import AIProvider
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.openai import OpenAIProvider

from .listening import Listener, until
from .running_worker import serving

PATIENCE_SECONDS = 20
"""More than an answer takes that is there, and much less than a vendor is waited for."""


class Form(NamedTuple):
    """A protocol in which answers stream: who serves it, who calls that, and what asks for it."""

    fake: Callable[[], FakeServer]
    calling: Callable[[str], AIProvider]
    parameters: dict[str, Any]


def _openai(url: str) -> AIProvider:
    return OpenAIProvider("any", f"{url}/v1")


FORMS = {
    "chat": Form(FakeOpenAI, _openai, {"api": "chat", "stream": True}),
    "response": Form(FakeOpenAI, _openai, {"api": "responses", "stream": True}),
    "background": Form(FakeOpenAI, _openai, {"api": "responses", "stream": True, "background": True}),
    "message": Form(FakeAnthropic, lambda url: AnthropicProvider("any", url), {"stream": True}),
    "HuggingFace's chat": Form(FakeHuggingFace, lambda url: HuggingFaceProvider("any", url), {"stream": True}),
}


@contextlib.asynccontextmanager
async def _served(form: Form) -> AsyncIterator[tuple[FakeServer, AIProvider]]:
    fake = form.fake()
    async with serving(fake.app()) as url:
        provider = form.calling(url)
        yield fake, provider
        await provider.close()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_an_answer_ends_with_its_last_event(form: Form) -> None:
    """No call waits for a server that sends nothing more: the answer is the whole one, and the stream is closed."""
    said = {"model": "fake-1", "operation": "text", "prompt": "[fault:left_open]", "parameters": form.parameters}
    listener = Listener()
    async with _served(form) as (fake, provider):
        payload = await provider.create_payload(CallIntent(provider=provider.name, **said), None, [])
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await provider.execute(payload, listener.call())
        audit = await provider.audit_response("text", payload, answer.raw)
        assert listener.text == audit.response["text"] == "The fake heard 17 characters."
        assert answer.request_id
        await until(lambda: fake.others["disconnects"] == 1)
