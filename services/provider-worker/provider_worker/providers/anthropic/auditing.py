"""Reading Anthropic's answers: what was said, how good it is by rule, what was flagged.

The rule of quality, for text: 1 when the model ended by itself, 0.6 when it was cut off, 0.1 when it refused. For JSON: 0 when it is
none, 0.2 when it does not fit its schema. Confidence is not measured: the vendor tells no probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.policy import Signals
from contracts.work import Failure
from provider_worker.providers.anthropic.payloads import TOOL, asked_schema
from provider_worker.providers.anthropic.prices import cost_of
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import UnusableSchema, at, compile_schema

_ENDED = ("end_turn", "stop_sequence", "tool_use")
_CUT = 0.6
_REFUSED = 0.1

_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_TOOL_CALLS = {"type": "object", "properties": {"text": {"type": "string"}, "tool_calls": {"type": "array"}}}
_ANY_JSON = {"type": "object", "properties": {"json": True}}

_Content = tuple[dict[str, Any], dict[str, Any], float]
"""A response, its schema, its quality."""


def audit_message(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Messages protocol. Raises ProviderError when there is nothing in it."""
    found = raw.get("content") if isinstance(raw, dict) else None
    if not isinstance(found, list):
        raise ProviderError(Failure(code="malformed_response", message="The server's answer holds no message."))
    blocks = [block for block in found if isinstance(block, dict)]
    stop = str(raw.get("stop_reason") or "end_turn")
    refused = stop == "refusal"
    response, schema, quality = _refusal(blocks, raw) if refused else _content(payload, blocks, stop, as_json=as_json)
    usage = raw["usage"] if isinstance(raw.get("usage"), dict) else {}
    model = str(raw.get("model") or payload.get("model"))
    return Audit(
        response={**response, "finish_reason": stop, "model": model},
        schema=schema,
        signals=Signals(safety_flags=_flags(raw) if refused else (), response_quality=quality),
        usage=usage,
        cost=cost_of(prices, model, usage) or cost_of(prices, payload.get("model"), usage),
    )


def _content(payload: Mapping[str, Any], blocks: list[dict[str, Any]], stop: str, *, as_json: bool) -> _Content:
    text, calls = _text(blocks), [block for block in blocks if block.get("type") == "tool_use"]
    quality = 1.0 if stop in _ENDED else _CUT
    answer = next((call.get("input") for call in calls if call.get("name") == TOOL), None) if as_json else None
    if answer is not None:
        return _json_content(payload, answer, quality)
    if calls:
        named = [{name: call.get(name) for name in ("id", "name", "input")} for call in calls]
        return {"text": text, "tool_calls": named}, _TOOL_CALLS, quality
    if not text.strip():
        raise ProviderError(_nothing(stop))
    if not as_json:
        return {"text": text}, _TEXT, quality
    try:
        return _json_content(payload, json.loads(_unfenced(text)), quality)
    except (ValueError, RecursionError):
        return {"json": None, "text": text}, _ANY_JSON, 0.0


def _json_content(payload: Mapping[str, Any], value: Any, quality: float) -> _Content:
    asked = asked_schema(payload)
    inner = {"$id": "urn:countersign:asked", **asked} if isinstance(asked, dict) and "$id" not in asked else asked
    schema = {"type": "object", "properties": {"json": True if inner is None else inner}, "required": ["json"]}
    try:
        fits = asked is None or compile_schema(asked).is_valid(value)
    except UnusableSchema:
        fits, schema = True, _ANY_JSON
    return {"json": value}, schema, quality if fits else 0.2


def _refusal(blocks: list[dict[str, Any]], raw: Mapping[str, Any]) -> _Content:
    said = at(raw, ["stop_details", "explanation"])
    text = _text(blocks) or (said if isinstance(said, str) else "")
    return {"text": text, "refused": True}, _TEXT, _REFUSED


def _flags(raw: Mapping[str, Any]) -> tuple[str, ...]:
    category = at(raw, ["stop_details", "category"])
    return ("refusal", category) if isinstance(category, str) and category else ("refusal",)


def _nothing(stop: str) -> Failure:
    if stop == "max_tokens":
        message = "The model used up its tokens before it said anything; allow more of them."
        return Failure(code="empty_response", message=message)
    return Failure(code="empty_response", message="The server answered with an empty message.")


def _text(blocks: list[dict[str, Any]]) -> str:
    """Join what was said; thoughts are no part of it."""
    return "".join(
        block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)
    )


def _unfenced(text: str) -> str:
    """Take JSON out of the Markdown fence that some models put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text[3:-3].removeprefix("json").strip()
    return text
