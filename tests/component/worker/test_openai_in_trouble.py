"""What becomes of a call to OpenAI on a bad day, in each of its forms: the real SDK against the fake, over HTTP on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from fake_vendors.openai import FakeOpenAI
from provider_worker.providers.base import ProviderError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.openai.client import OpenAIClient

from .completions import FORMS, KEY, PACE, Notes, a_call, a_payload, ask
from .vendors import hanging_up, nobody_listening, outcome_of

FAKE = FakeOpenAI
"""The fake vendor of this module's tests."""

FAULTS = [
    ("nobody listens", "retryable", "connection_failed", 0),
    ("hung up", "uncertain", "connection_lost", 0),
    ("reset", "uncertain", "connection_lost", 1),
    ("hang", "uncertain", "timeout", 1),
    ("wrong key", "failed", "auth_failed", 0),
    ("400", "failed", "request_refused", 1),
    ("403", "failed", "forbidden", 1),
    ("404", "failed", "not_found", 1),
    ("filtered_prompt", "failed", "content_filtered", 1),
    ("429", "retryable", "rate_limited", 1),
    ("quota", "failed", "quota_exceeded", 1),
    ("500", "retryable", "provider_error", 1),
    ("502", "retryable", "provider_error", 1),
    ("503", "retryable", "provider_error", 1),
    ("504", "uncertain", "timeout", 1),
    ("malformed", "failed", "malformed_response", 1),
    ("huge", "failed", "response_too_large", 1),
]
OF_TEXTS = [
    ("empty", "failed", "empty_response", 1),
    ("content_filter", "failed", "content_filtered", 1),
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
OF_RESPONSES = [("failed", "retryable", "provider_error", 1)]
IN_THE_BACKGROUND = [
    ("failed", "failed", "provider_error", 1),
    ("pending", "uncertain", "timeout", 1),
    ("lost", "uncertain", "call_gone", 1),
]
ROWS = {
    "chat": [*FAULTS, *OF_TEXTS],
    "streamed chat": [*FAULTS, *OF_TEXTS, *IN_A_STREAM],
    "response": [*FAULTS, *OF_TEXTS, *OF_RESPONSES],
    "streamed response": [*FAULTS, *OF_TEXTS, *OF_RESPONSES, *IN_A_STREAM],
    "background": [*FAULTS, *OF_TEXTS, *IN_THE_BACKGROUND],
    "streamed background": [*FAULTS, *OF_TEXTS],
    "image": FAULTS,
}


class _Hasty(OpenAIProvider):
    """A provider that waits for no more than a moment."""

    def _make_client(self, key: str | None, base_url: str | None) -> OpenAIClient:
        return OpenAIClient(key or KEY, base_url, httpx2.Timeout(10, read=0.2))


@contextlib.asynccontextmanager
async def facing(fault: str, url: str) -> AsyncIterator[OpenAIProvider]:
    """Give a provider whose call meets the fault: one of the network or the key, or one that the fake plays."""
    async with contextlib.AsyncExitStack() as stack:
        match fault:
            case "wrong key":
                provider = OpenAIProvider("wrong-key", f"{url}/v1")
            case "nobody listens":
                provider = OpenAIProvider(None, f"{nobody_listening()}/v1")
            case "hung up":
                provider = OpenAIProvider(None, f"{await stack.enter_async_context(hanging_up())}/v1")
            case "hang" | "stall" | "stall_early":
                provider = _Hasty(KEY, f"{url}/v1", schedule=PACE)
            case "pending":
                provider = OpenAIProvider(KEY, f"{url}/v1", schedule=replace(PACE, patience=0.2))
            case _:
                provider = OpenAIProvider(KEY, f"{url}/v1", schedule=PACE)
        stack.push_async_callback(provider.close)
        yield provider


@pytest.mark.parametrize(
    ("form", "fault", "outcome", "code", "calls"),
    [
        pytest.param(form, *row, id=f"{form}, {row[0]}: {row[1]}, {row[2]}")
        for form, rows in ROWS.items()
        for row in rows
    ],
)
async def test_each_fault_has_its_outcome(
    url: str, fake: FakeOpenAI, form: str, fault: str, outcome: str, code: str, calls: int
) -> None:
    """And the SDK never tries again by itself: one call at most is begun, and no failure shows a key."""
    before = fake.calls.total()
    async with facing(fault, url) as provider:
        with pytest.raises(ProviderError) as failed:
            await ask(provider, form, "image" if form == "image" else "text", model=f"fault-{fault}")
    failure = failed.value.failure
    assert (outcome_of(failure), failure.code) == (outcome, code)
    assert fake.calls.total() == before + calls
    assert "wrong-key" not in failure.model_dump_json()


@pytest.mark.parametrize("fault", [row[0] for row in IN_A_STREAM])
async def test_a_response_in_the_background_outlives_its_stream(url: str, fake: FakeOpenAI, fault: str) -> None:
    """However the stream ends: it is asked about, and bought once."""
    before = fake.calls.total()
    async with facing(fault, url) as provider:
        assert (await ask(provider, "streamed background", model=f"fault-{fault}")).response["text"]
    assert fake.calls.total() == before + 1


@pytest.mark.parametrize("fault", ["look_500", "look_cut"])
async def test_a_look_that_fails_is_repeated(url: str, fault: str) -> None:
    """It costs nothing, and the response goes on."""
    async with facing(fault, url) as provider:
        assert (await ask(provider, "background", model=f"fault-{fault}")).response["text"]


async def test_what_is_asked_about_in_vain_is_asked_about_again(url: str, fake: FakeOpenAI) -> None:
    """By the id that was noted; the next attempt buys nothing, and says so where the response is not known any more."""
    notes, before = Notes(), fake.calls.total()
    async with facing("pending", url) as provider:
        payload = await a_payload(provider, "background", model="fault-pending")
        with pytest.raises(ProviderError) as overdue:
            await provider.execute(payload, a_call(note=notes.note))
        assert notes.noted[0] in overdue.value.failure.message
        for resumed, code in ((notes.noted[0], "timeout"), ("resp_unheard_of", "call_gone")):
            with pytest.raises(ProviderError) as failed:
                await provider.execute(payload, a_call(resume=resumed))
            assert failed.value.failure.code == code
    assert "paid" in failed.value.failure.message
    assert fake.calls.total() == before + 1


@pytest.mark.parametrize("form", FORMS)
async def test_refusals_and_cut_answers_reach_the_signals(url: str, form: str) -> None:
    """For policy to look at."""
    async with facing("refusal", url) as provider:
        refused = await ask(provider, form, model="fault-refusal")
        cut = await ask(provider, form, model="fault-length")
    assert (refused.response["refused"], refused.signals.response_quality) == (True, 0.1)
    assert (cut.response["finish_reason"], cut.signals.response_quality) == ("length", 0.6)
