"""OpenAI's responses have the meaning of chats, in the protocol's own members."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError, note_nowhere
from provider_worker.providers.openai.responses.answers import audit_response
from provider_worker.providers.openai.responses.stream import gather_response
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Progress

PRICES = PriceTable.of("provider_worker.providers.openai")


def _a_response(*output: dict[str, Any], status: str = "completed", **members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 100, "input_tokens_details": {"cached_tokens": 200}}
    model = "gpt-5.4-mini-2026-03-17"
    return {"id": "resp_1", "status": status, "model": model, "output": list(output), "usage": usage, **members}


def _a_message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def _a_text(text: str, **members: Any) -> dict[str, Any]:
    return _a_message({"type": "output_text", "text": text, "annotations": [], **members})


def test_a_response_amounts_to_what_a_chat_amounts_to() -> None:
    """Its texts are joined, and priced by its usage; what else the model did is not shown."""
    raw = _a_response({"type": "reasoning", "summary": []}, _a_text("It is "), _a_text("red."))
    audit = audit_response(PRICES, {"input": "Hi"}, raw, as_json=False)
    assert audit.response == {"text": "It is red.", "finish_reason": "stop", "model": "gpt-5.4-mini-2026-03-17"}
    assert (audit.signals.response_quality, audit.signals.confidence) == (1.0, None)
    assert audit.cost == (800 * Decimal("0.75") + 200 * Decimal("0.075") + 100 * Decimal("4.50")) / 1_000_000
    assert audit.usage == raw["usage"]


@pytest.mark.parametrize(
    ("raw", "said", "quality", "flags"),
    [
        (
            _a_response(_a_text("It"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            {"text": "It", "finish_reason": "length"},
            0.6,
            (),
        ),
        (
            _a_response(_a_text("It"), status="incomplete", incomplete_details={"reason": "content_filter"}),
            {"text": "It", "finish_reason": "content_filter"},
            0.3,
            ("content_filter",),
        ),
        (
            _a_response(_a_message({"type": "refusal", "refusal": "No."})),
            {"text": "No.", "refused": True, "finish_reason": "stop"},
            0.1,
            (),
        ),
        (
            _a_response({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}),
            {
                "text": "",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                "finish_reason": "tool_calls",
            },
            1.0,
            (),
        ),
    ],
    ids=["length", "filter", "refusal", "tools"],
)
def test_ends_are_told_in_a_chat_s_words(raw: Any, said: Any, quality: float, flags: Any) -> None:
    """So that policies need not know which protocol it was."""
    audit = audit_response(PRICES, {"input": "Hi"}, raw, as_json=False)
    assert audit.response == {**said, "model": "gpt-5.4-mini-2026-03-17"}
    assert (audit.signals.response_quality, audit.signals.safety_flags) == (quality, flags)


def test_json_is_held_against_the_schema_that_was_asked_for() -> None:
    """And confidence is the tokens' mean probability where they are told."""
    payload = {"input": "Hi", "text": {"format": {"type": "json_schema", "schema": {"type": "integer"}}}}
    logprobs = [{"token": "4", "logprob": -0.1}, {"token": "2", "logprob": -0.3}]
    fits = audit_response(PRICES, payload, _a_response(_a_text("42", logprobs=logprobs)), as_json=True)
    assert (fits.response["json"], fits.signals.response_quality) == (42, 1.0)
    assert fits.signals.confidence == pytest.approx(0.8187, abs=1e-4)
    misfit = audit_response(PRICES, payload, _a_response(_a_text('"x"')), as_json=True)
    assert misfit.signals.response_quality == 0.2


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (_a_response(_a_text("")), "empty_response"),
        (_a_response({"type": "reasoning"}), "empty_response"),
        (_a_response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "empty_response"),
        (_a_response(status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filtered"),
        ({}, "malformed_response"),
        ([], "malformed_response"),
        ({"output": "text"}, "malformed_response"),
        (
            {"output": ["text", {"type": "message", "content": 7}, {"type": "message", "content": [7]}]},
            "empty_response",
        ),
    ],
)
def test_a_response_with_nothing_in_it_is_a_failure(raw: Any, code: str) -> None:
    """Known to have been made, so not uncertain; made again only if a person wants it."""
    with pytest.raises(ProviderError) as failed:
        audit_response(PRICES, {"input": "Hi"}, raw, as_json=False)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, False, False)


async def test_what_breaks_after_the_last_event_changes_nothing() -> None:
    """The response is there, and was paid for."""
    whole = _a_response(_a_text("It is red."))

    async def events() -> AsyncGenerator[Any]:
        yield {"type": "response.created", "response": {"id": "resp_1"}}
        yield {"type": "response.completed", "response": whole}
        raise ProviderError(Failure(code="connection_lost", message="It broke.", retryable=True, uncertain=True))

    progress = Progress()
    assert await gather_response(events(), progress, note_nowhere) == whole
    assert progress.usage == whole["usage"]


async def test_what_is_thought_and_not_told_is_paid_for_as_well() -> None:
    """So a response that breaks off after it is not made again by itself, though no text had come."""

    async def events() -> AsyncGenerator[Any]:
        yield {"type": "response.reasoning_summary_text.delta", "delta": "Hm."}
        yield {"type": "error", "code": "server_error", "message": "Down."}

    progress = Progress()
    with pytest.raises(ProviderError) as failed:
        await gather_response(events(), progress, note_nowhere)
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("provider_error", True)
    assert progress.characters == 0
