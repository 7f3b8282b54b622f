"""What becomes of a call to HuggingFace on a bad day: the real SDK against the fake, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from contracts.providers.call import Failure
from fake_vendors.huggingface import FakeHuggingFace
from provider_worker.providers.base import ProviderError
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.huggingface.client import TIMEOUT, HuggingFaceClient
from provider_worker.providers.huggingface.payloads import Addresses

from .inferences import KEY, a_call, ask
from .vendors import hanging_up, nobody_listening, outcome_of

FAKE = FakeHuggingFace
"""The fake vendor of this module's tests."""

FAULTS = {
    "nobody listens": ("retryable", "connection_failed"),
    "hung up": ("uncertain", "connection_lost"),
    "wrong token": ("failed", "auth_failed"),
    "hang": ("uncertain", "timeout"),
    "401": ("failed", "auth_failed"),
    "400": ("failed", "request_refused"),
    "402": ("failed", "quota_exceeded"),
    "403": ("failed", "forbidden"),
    "404": ("failed", "not_found"),
    "unsupported": ("failed", "request_refused"),
    "422": ("failed", "request_refused"),
    "424": ("retryable", "provider_error"),
    "429": ("retryable", "rate_limited"),
    "limit": ("retryable", "rate_limited"),
    "500": ("retryable", "provider_error"),
    "502": ("retryable", "provider_error"),
    "503": ("retryable", "provider_error"),
    "loading": ("retryable", "provider_error"),
    "504": ("uncertain", "timeout"),
    "reset": ("uncertain", "connection_lost"),
    "redirect": ("failed", "request_refused"),
    "malformed": ("failed", "malformed_response"),
    "empty": ("failed", "empty_response"),
    "huge": ("failed", "response_too_large"),
}

UNREACHED = ("nobody listens", "hung up", "wrong token")
"""Faults that keep a call from being begun at the server, as far as that knows."""

OF_CHATS = {
    "content_filter": ("failed", "content_filtered"),
}

IN_A_STREAM = {
    "stream_error_early": ("retryable", "provider_error"),
    "stream_error": ("uncertain", "provider_error"),
    "cut_early": ("uncertain", "connection_lost"),
    "cut": ("uncertain", "connection_lost"),
    "unended_early": ("uncertain", "connection_lost"),
    "unended": ("uncertain", "connection_lost"),
    "stall_early": ("uncertain", "timeout"),
    "stall": ("uncertain", "timeout"),
    "malformed_event_early": ("failed", "malformed_response"),
    "malformed_event": ("failed", "malformed_response"),
    "endless": ("failed", "response_too_large"),
}

FORMS = {
    "a stream": ("text", {}, FAULTS | OF_CHATS | IN_A_STREAM),
    "a chat": ("text", {"parameters": {"stream": False}}, FAULTS | OF_CHATS),
    "labels": ("classification", {}, FAULTS),
    "an image": ("image", {}, FAULTS),
}
"""Operations, and their faults."""


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[HuggingFaceProvider]:
    """Give a provider whose server is the fake."""
    provider = HuggingFaceProvider(KEY, url)
    yield provider
    await provider.close()


async def _failure(provider: HuggingFaceProvider, operation: str = "text", **given: Any) -> Failure:
    with pytest.raises(ProviderError) as failed:
        await ask(provider, operation, **given)
    return failed.value.failure


class _Hasty(HuggingFaceProvider):
    """A provider that waits for no more than a moment."""

    def _make_client(self, key: str | None, base_url: str | None) -> HuggingFaceClient:
        return HuggingFaceClient(key, Addresses.under(base_url), httpx2.Timeout(10, read=0.2))


@contextlib.asynccontextmanager
async def _facing(fault: str, url: str) -> AsyncIterator[HuggingFaceProvider]:
    """Give a provider whose call meets the fault: one of the network or the token, or one that the fake plays."""
    async with contextlib.AsyncExitStack() as stack:
        match fault:
            case "wrong token":
                provider = HuggingFaceProvider("wrong-key", url)
            case "nobody listens":
                provider = HuggingFaceProvider(None, nobody_listening())
            case "hung up":
                provider = HuggingFaceProvider(None, await stack.enter_async_context(hanging_up()))
            case "hang" | "stall" | "stall_early":
                provider = _Hasty(KEY, url)
            case _:
                provider = HuggingFaceProvider(KEY, url)
        stack.push_async_callback(provider.close)
        yield provider


@pytest.mark.parametrize(
    ("form", "fault", "outcome", "code"),
    [
        pytest.param(form, fault, *end, id=f"{form}, {fault}: {', '.join(end)}")
        for form, (_, _, faults) in FORMS.items()
        for fault, end in faults.items()
    ],
)
async def test_each_fault_has_its_outcome(
    url: str, fake: FakeHuggingFace, form: str, fault: str, outcome: str, code: str
) -> None:
    """And the SDK never tries again by itself: one call at most reaches the server, and no failure shows a token."""
    before, (operation, given, _) = fake.calls.total(), FORMS[form]
    async with _facing(fault, url) as provider:
        failure = await _failure(provider, operation, prompt=f"Do [fault:{fault}] it", **given)
    assert (outcome_of(failure), failure.code) == (outcome, code)
    assert failure.message
    assert fake.calls.total() == before + (fault not in UNREACHED)
    assert "wrong-key" not in failure.model_dump_json()


@pytest.mark.parametrize(("fault", "seconds"), [("429", 7), ("limit", 55), ("loading", 20), ("503", None)])
async def test_the_server_says_when_to_come_back(
    provider: HuggingFaceProvider, fault: str, seconds: float | None
) -> None:
    """In a header of its own, in that of its limits, or as the time it takes to load a model."""
    assert (await _failure(provider, model=f"fault-{fault}")).retry_after == seconds


@pytest.mark.parametrize(
    ("fault", "words"),
    [("400", "top_k"), ("404", "does not exist"), ("422", "must be shorter"), ("unsupported", "not supported")],
)
async def test_the_server_s_own_words_reach_the_person_who_can_mend_it(
    provider: HuggingFaceProvider, fault: str, words: str
) -> None:
    """In each of the forms in which it says them."""
    assert words in (await _failure(provider, "classification", model=f"fault-{fault}")).message


async def test_no_token_of_this_machine_is_sent_to_a_server_that_was_given_none(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would look for one by itself."""
    monkeypatch.setenv("HF_TOKEN", KEY)
    provider = HuggingFaceProvider(None, url)
    assert (await _failure(provider)).code == "auth_failed"
    await provider.close()


async def test_a_model_that_is_no_name_reaches_no_address(provider: HuggingFaceProvider, fake: FakeHuggingFace) -> None:
    """Also after an approval: it would be part of an address."""
    before = fake.calls.total()
    for model in ("http://127.0.0.1:9/x", "../v1/chat/completions", "a/b/c", "a?b", "a\n", ".", None):
        with pytest.raises(ProviderError) as refused:
            await provider.execute({"model": model, "inputs": "Hello"}, a_call("classification"))
        assert (refused.value.failure.code, refused.value.failure.uncertain) == ("request_refused", False)
        assert "not the name of a model" in refused.value.failure.message
    assert fake.calls.total() == before


async def test_the_limits_of_time_hold_although_the_sdk_would_wait_for_ever() -> None:
    """How long a call waits for what, in seconds; the table of faults shows what becomes of it then."""
    assert (TIMEOUT.connect, TIMEOUT.read) == (10, 540)


async def test_a_call_that_is_given_up_leaves_the_provider_usable(
    provider: HuggingFaceProvider, fake: FakeHuggingFace
) -> None:
    """Its connection is closed; the next call has its own."""
    begun = fake.calls.total()
    hanging = asyncio.create_task(ask(provider, prompt="[fault:hang]"))
    async with asyncio.timeout(20):
        while fake.calls.total() == begun:  # noqa: ASYNC110 - a counter sets no event
            await asyncio.sleep(0.01)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert (await ask(provider)).response["text"]


async def test_a_base_url_that_is_none_was_not_called() -> None:
    """The message names the settings."""
    provider = HuggingFaceProvider(None, "tgi.internal:8080")
    failure = await _failure(provider)
    assert (outcome_of(failure), failure.code) == ("failed", "request_refused")
    await provider.close()


async def test_a_marked_prompt_fails_only_so_often(provider: HuggingFaceProvider) -> None:
    """So that retries can be shown against the fake as well."""
    prompt = "try [fault:loading x1] me"
    assert (await _failure(provider, prompt=prompt)).retryable
    assert (await ask(provider, prompt=prompt)).response["text"]
