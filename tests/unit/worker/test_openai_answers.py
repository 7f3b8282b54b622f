"""What OpenAI's answers amount to: errors, limits, text, JSON, images, cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from provider_worker.providers.base import ProviderError
from provider_worker.providers.chat_completions import prices
from provider_worker.providers.chat_completions.responses import audit_chat
from provider_worker.providers.http.errors.failures import ResponseTooLarge
from provider_worker.providers.openai.client import failure_of, rate_limit
from provider_worker.providers.openai.images import audit_images, without_files
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.pricing import PriceTable
from provider_worker.testing.memory import MemoryArtifacts

from .vendor_messages import a_completion

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
PRICES = PriceTable.of("provider_worker.providers.openai")


def _status(status: int, body: dict[str, Any] | None = None, **headers: str) -> openai.APIStatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, request=REQUEST, headers=named, json={"error": body} if body else {})
    kinds: dict[int, type[openai.APIStatusError]] = {429: openai.RateLimitError, 401: openai.AuthenticationError}
    return kinds.get(status, openai.APIStatusError)("Error", response=response, body=body)


def _connection(cause: BaseException) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    return error


async def test_images_in_an_answer_become_artifacts() -> None:
    """Their bytes never travel in events."""
    artifacts = MemoryArtifacts().of("acme")
    raw = await without_files({"data": [{"b64_json": "iVBORw0KGgo="}, {"url": "https://example.com/x"}]}, artifacts)
    ref = raw["data"][0]["b64_json"]
    found = await artifacts.find(ref)
    assert found is not None
    assert found.media_type == "image/png"
    assert audit_images(PRICES, {"model": "m"}, raw).response == {"images": [ref, "https://example.com/x"]}
    with pytest.raises(ProviderError):
        await without_files({"data": [{"b64_json": "!"}]}, artifacts)


@pytest.mark.parametrize(
    ("error", "code", "retryable", "uncertain"),
    [
        (_status(429), "rate_limited", True, False),
        (_status(429, {"code": "insufficient_quota", "message": "No money"}), "quota_exceeded", False, False),
        (_status(500), "provider_error", True, False),
        (_status(503), "provider_error", True, False),
        (_status(409), "provider_error", True, False),
        (_status(504), "timeout", True, True),
        (_status(401), "auth_failed", False, False),
        (_status(403), "forbidden", False, False),
        (_status(400, {"message": "Bad temperature"}), "request_refused", False, False),
        (_status(400, {"code": "content_policy_violation", "message": "No"}), "content_filtered", False, False),
        (_status(404), "not_found", False, False),
        (_status(422), "request_refused", False, False),
        (_connection(httpx2.ConnectError("refused")), "connection_failed", True, False),
        (_connection(httpx2.ConnectTimeout("slow")), "connection_failed", True, False),
        (_connection(httpx2.PoolTimeout("busy")), "connection_failed", True, False),
        (_connection(httpx2.ReadTimeout("silent")), "timeout", True, True),
        (_connection(httpx2.WriteTimeout("stuck")), "timeout", True, True),
        (_connection(httpx2.ReadError("reset")), "connection_lost", True, True),
        (_connection(httpx2.RemoteProtocolError("cut")), "connection_lost", True, True),
        (_connection(httpx2.UnsupportedProtocol("foo")), "request_refused", False, False),
        (_connection(httpx2.LocalProtocolError("Illegal header value")), "request_refused", False, False),
        (ResponseTooLarge(), "response_too_large", False, False),
        (openai.OpenAIError("?"), "request_refused", False, False),
    ],
)
def test_each_error_says_whether_to_try_again_and_whether_the_call_may_have_happened(
    error: Any, code: str, *, retryable: bool, uncertain: bool
) -> None:
    """Only a call that was sent and not answered is uncertain."""
    failure = failure_of(error)
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
    assert failure.message


def test_the_vendor_s_own_words_reach_the_person_who_can_mend_it() -> None:
    """Without the key, which the words of a 401 may repeat."""
    assert failure_of(_status(400, {"message": "Bad temperature"})).message == "Bad temperature"
    said = failure_of(_status(401, {"message": "Incorrect API key provided: sk-abc"})).message
    assert said == "The server does not accept the worker's key. Incorrect API key provided: [hidden]"


def test_limits_are_read_from_the_headers() -> None:
    """Numbers as numbers, durations as they are."""
    headers = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-tokens": "6m0s", "x-other": "1"}
    assert rate_limit(headers) == {"remaining_requests": 59, "reset_tokens": "6m0s"}
    assert rate_limit({}) is None


@pytest.mark.parametrize(
    ("raw", "quality", "flags"),
    [
        (a_completion(), 1.0, ()),
        (a_completion(finish="length"), 0.6, ()),
        (a_completion(finish="content_filter"), 0.3, ("content_filter",)),
        (a_completion(None, refusal="I will not."), 0.1, ()),
        (a_completion([{"type": "text", "text": "Fine."}]), 1.0, ()),
        (a_completion(None, "tool_calls", tool_calls=[{"id": "1", "function": {"arguments": "{}"}}]), 1.0, ()),
    ],
)
def test_quality_and_flags_follow_the_finish_reason(raw: Any, quality: float, flags: tuple[str, ...]) -> None:
    """By the stated rule; the response fits the schema that it comes with."""
    audit = audit_chat(PRICES, {"model": "m"}, raw, as_json=False)
    assert (audit.signals.response_quality, audit.signals.safety_flags) == (quality, flags)
    assert CompiledSchema(audit.schema).is_valid(audit.response)


def test_the_content_filter_s_words_become_ours() -> None:
    """`sexual` is `nsfw`, protected material `copyright`; a harmless category is no flag."""
    raw = a_completion()
    raw["choices"][0]["content_filter_results"] = {
        "sexual": {"filtered": False, "severity": "medium"},
        "violence": {"filtered": False, "severity": "safe"},
        "protected_material_text": {"detected": True, "filtered": False},
    }
    raw["prompt_filter_results"] = [{"content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}]
    assert set(audit_chat(PRICES, {}, raw, as_json=False).signals.safety_flags) == {"nsfw", "copyright", "hate"}


@pytest.mark.parametrize(
    ("content", "value", "quality"),
    [
        ('{"a": 1}', {"a": 1}, 1.0),
        ('```json\n{"a": 1}\n```', {"a": 1}, 1.0),
        ('{"a": "one"}', {"a": "one"}, 0.2),
        ('{"a": ', None, 0.0),
        ("[" * 100_000, None, 0.0),
    ],
)
def test_json_is_taken_out_of_the_text_and_held_against_its_schema(content: str, value: Any, quality: float) -> None:
    """A misfit is shown all the same, with its quality."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    payload = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}
    audit = audit_chat(PRICES, payload, a_completion(content), as_json=True)
    assert audit.response["json"] == value
    assert audit.signals.response_quality == quality
    if quality == 1.0:
        assert CompiledSchema(audit.schema).is_valid(audit.response)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (a_completion(""), "empty_response"),
        (a_completion(None, "length"), "empty_response"),
        (a_completion("", "content_filter"), "content_filtered"),
        ({"choices": []}, "malformed_response"),
        ({}, "malformed_response"),
        ([], "malformed_response"),
        ("text", "malformed_response"),
        ({"choices": {"0": 1}}, "malformed_response"),
    ],
)
def test_an_answer_with_nothing_in_it_is_a_failure(raw: Any, code: str) -> None:
    """Known to have been made, so not uncertain; made again only if a person wants it."""
    with pytest.raises(ProviderError) as failed:
        audit_chat(PRICES, {}, raw, as_json=False)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, False, False)


def test_confidence_is_the_mean_probability_where_the_server_tells_it() -> None:
    """Otherwise it is not measured."""
    raw = a_completion()
    assert audit_chat(PRICES, {}, raw, as_json=False).signals.confidence is None
    raw["choices"][0]["logprobs"] = {"content": [{"logprob": -0.1}, {"logprob": -0.3}]}
    assert audit_chat(PRICES, {}, raw, as_json=False).signals.confidence == pytest.approx(0.8187, abs=1e-4)


def test_cost_follows_from_usage_and_the_price_table() -> None:
    """Cached tokens at their own price, dated snapshots at their model's, unknown models at none."""
    cost = audit_chat(PRICES, {}, a_completion(), as_json=False).cost
    assert cost == (Decimal(800) * Decimal("0.75") + 200 * Decimal("0.075") + 100 * Decimal("4.50")) / 1_000_000
    assert prices.cost_of(PRICES, "llama-local", {"prompt_tokens": 1, "completion_tokens": 1}) is None
    assert prices.cost_of(PRICES, "gpt-5.4-mini", {}) is None
    usage = {
        "input_tokens": 100,
        "output_tokens": 1000,
        "input_tokens_details": {"text_tokens": 60, "image_tokens": 40},
    }
    assert prices.cost_of(PRICES, "gpt-image-2", usage) == (60 * 5 + 40 * 8 + 1000 * 30) / Decimal(1_000_000)
