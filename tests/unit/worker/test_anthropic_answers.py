"""What Anthropic's answers amount to: errors, limits, text, JSON, cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest

from provider_worker.providers.anthropic.client import failure_of, rate_limit
from provider_worker.providers.anthropic.payloads import TOOL, build
from provider_worker.providers.anthropic.prices import cost_of
from provider_worker.providers.anthropic.responses import audit_message
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.errors.failures import ResponseTooLarge
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.pricing import PriceTable

from .vendor_messages import an_intent

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
PRICES = PriceTable.of("provider_worker.providers.anthropic")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
MILLION = Decimal(1_000_000)


def _status(status: int, kind: str, code: str | None = None) -> anthropic.APIStatusError:
    error = {"type": kind, "message": "So it is", **({"details": {"error_code": code}} if code else {})}
    response = httpx2.Response(status, request=REQUEST, json={"type": "error", "error": error})
    return anthropic.APIStatusError("Error", response=response, body={"type": "error", "error": error})


def _connection(cause: BaseException) -> anthropic.APIConnectionError:
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    return error


def _answer(*content: Any, stop: str = "end_turn", **members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 100}
    return {"model": "claude-haiku-4-5-20251001", "content": [*content], "stop_reason": stop, "usage": usage, **members}


def _said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _used(value: Any, name: str = TOOL) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": value}


@pytest.mark.parametrize(
    ("error", "code", "retryable", "uncertain"),
    [
        (_status(400, "invalid_request_error"), "request_refused", False, False),
        (_status(400, "invalid_request_error", "enforced_spend_limit_reached"), "quota_exceeded", False, False),
        (_status(401, "authentication_error"), "auth_failed", False, False),
        (_status(402, "billing_error"), "quota_exceeded", False, False),
        (_status(403, "permission_error"), "forbidden", False, False),
        (_status(404, "not_found_error"), "not_found", False, False),
        (_status(413, "request_too_large"), "request_refused", False, False),
        (_status(429, "rate_limit_error"), "rate_limited", True, False),
        (_status(429, "rate_limit_error", "ramp_limit_exceeded"), "rate_limited", True, False),
        (_status(429, "rate_limit_error", "contract_spend_limit_reached"), "quota_exceeded", False, False),
        (_status(500, "api_error"), "provider_error", True, False),
        (_status(504, "timeout_error"), "timeout", True, True),
        (_status(529, "overloaded_error"), "provider_error", True, False),
        (_connection(httpx2.ConnectError("refused")), "connection_failed", True, False),
        (_connection(httpx2.ReadTimeout("silent")), "timeout", True, True),
        (_connection(httpx2.RemoteProtocolError("cut")), "connection_lost", True, True),
        (_connection(httpx2.UnsupportedProtocol("foo")), "request_refused", False, False),
        (_connection(ResponseTooLarge()), "response_too_large", False, False),
        (anthropic.AnthropicError("?"), "request_refused", False, False),
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
    """Those of a 401 too, and those of a gateway's page."""
    assert failure_of(_status(400, "invalid_request_error")).message == "So it is"
    assert failure_of(_status(401, "authentication_error")).message.endswith(" So it is")
    page = httpx2.Response(502, request=REQUEST, content=b"<html><h1>Bad gateway</h1></html>")
    assert failure_of(anthropic.APIStatusError("Error", response=page, body="<html>")).message == "Bad gateway"


def test_limits_are_read_from_the_headers() -> None:
    """Numbers as numbers, moments as they are."""
    headers = {
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-01T00:00:00Z",
        "anthropic-ratelimit-other": "1",
    }
    assert rate_limit(headers) == {"remaining_requests": 59, "reset_output_tokens": "2026-11-01T00:00:00Z"}
    assert rate_limit({}) is None


@pytest.mark.parametrize(
    ("raw", "text", "quality", "flags"),
    [
        (_answer(_said("Fine."), _said(" Yes.")), "Fine. Yes.", 1.0, ()),
        (_answer({"type": "thinking", "thinking": "Hm"}, _said("Fine.")), "Fine.", 1.0, ()),
        (_answer(_said("Fine."), {"type": "note_to_self", "text": "Hm"}), "Fine.", None, ()),
        (_answer(_said("Fine"), stop="stop_sequence"), "Fine", 1.0, ()),
        (_answer(_said("Fi"), stop="max_tokens"), "Fi", 0.6, ()),
        (_answer(_said("Fi"), stop="model_context_window_exceeded"), "Fi", 0.6, ()),
        (_answer(_said("Fi"), stop="pause_turn"), "Fi", 0.6, ()),
        (_answer(stop="refusal"), "", 0.1, ("refusal",)),
        (
            _answer(stop="refusal", stop_details={"category": "bio", "explanation": "No."}),
            "No.",
            0.1,
            ("refusal", "bio"),
        ),
        (_answer(_said("I'll look."), _used({"q": 1}, "search"), stop="tool_use"), "I'll look.", 1.0, ()),
    ],
)
def test_quality_and_flags_follow_the_stop_reason(
    raw: Any, text: str, quality: float | None, flags: tuple[str, ...]
) -> None:
    """By the stated rule; the response fits the schema that it comes with. What has a block of an unknown kind is not scored."""
    audit = audit_message(PRICES, {}, raw, as_json=False)
    assert (audit.response["text"], audit.signals.response_quality, audit.signals.safety_flags) == (
        text,
        quality,
        flags,
    )
    assert audit.response["finish_reason"] == raw["stop_reason"]
    assert CompiledSchema(audit.schema).is_valid(audit.response)


@pytest.mark.parametrize(
    ("content", "stop", "value", "quality"),
    [
        (_used({"a": 1}), "tool_use", {"a": 1}, 1.0),
        (_used({"a": 1}), "max_tokens", {"a": 1}, 0.6),
        (_used({"a": "one"}), "tool_use", {"a": "one"}, 0.2),
        (_said('```json\n{"a": 1}\n```'), "end_turn", {"a": 1}, 1.0),
        (_said("I would say one."), "end_turn", None, 0.0),
        (_said("[" * 100_000), "end_turn", None, 0.0),
    ],
)
def test_json_is_the_tool_s_input_held_against_its_schema(content: Any, stop: str, value: Any, quality: float) -> None:
    """Text in place of it is read as JSON where it can be; a misfit is shown all the same."""
    payload = build(an_intent("anthropic", "claude-haiku-4-5", "json", parameters={"schema": SCHEMA}), [])
    audit = audit_message(PRICES, payload, _answer(content, stop=stop), as_json=True)
    assert (audit.response["json"], audit.signals.response_quality) == (value, quality)
    if quality >= 0.6:
        assert CompiledSchema(audit.schema).is_valid(audit.response)


def test_json_by_the_vendor_s_own_output_format_is_held_against_it_too() -> None:
    """For who asks for it so."""
    payload = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    audit = audit_message(PRICES, payload, _answer(_said('{"a": "one"}')), as_json=True)
    assert audit.signals.response_quality == 0.2


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (_answer(), "empty_response"),
        (_answer(_said(" ")), "empty_response"),
        (_answer(stop="max_tokens"), "empty_response"),
        (_answer(7, None), "empty_response"),
        ({}, "malformed_response"),
        ([], "malformed_response"),
        ("text", "malformed_response"),
        ({"content": "text"}, "malformed_response"),
    ],
)
def test_an_answer_with_nothing_in_it_is_a_failure(raw: Any, code: str) -> None:
    """Known to have been made, so not uncertain; made again only if a person wants it."""
    for as_json in (False, True):
        with pytest.raises(ProviderError) as failed:
            audit_message(PRICES, {}, raw, as_json=as_json)
        failure = failed.value.failure
        assert (failure.code, failure.retryable, failure.uncertain) == (code, False, False)


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("claude-haiku-4-5-20251001", {"input_tokens": 1000, "output_tokens": 100}, Decimal(1500)),
        (
            "claude-sonnet-5-5",
            {"input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 40},
            10 * 2 + 100 * Decimal("0.1") + 40 * Decimal("2.5"),
        ),
        (
            "claude-sonnet-5-5",
            {
                "input_tokens": 0,
                "output_tokens": 1,
                "cache_creation_input_tokens": 40,
                "cache_creation": {"ephemeral_1h_input_tokens": 30},
            },
            10 * Decimal("2.5") + 30 * 4 + 10,
        ),
        ("claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 10}, 100_000 * Decimal("0.1") + 5),
        (
            "claude-haiku-5-5",
            {"input_tokens": 1, "cache_read_input_tokens": 100_000, "output_tokens": 10},
            Decimal("0.5") + 100_000 * Decimal("0.05") + 25,
        ),
        ("unheard-of", {"input_tokens": 1, "output_tokens": 1}, None),
        ("claude-haiku-4-5", {"input_tokens": 1}, None),
        ("claude-haiku-4-5", {"input_tokens": 1, "output_tokens": 1, "speed": "fast"}, None),
        ("claude-haiku-4-5", {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"x": 1}}, None),
    ],
    ids=["dated", "cache", "hour", "short", "long", "unknown model", "no count", "fast", "server tool"],
)
def test_cost_follows_from_usage_and_the_price_table(model: str, usage: Any, cost: Decimal | None) -> None:
    """The cache's tokens at their own prices, a long prompt at its own; None where the table does not say."""
    assert cost_of(PRICES, model, usage) == (None if cost is None else cost / MILLION)
