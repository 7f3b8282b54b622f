"""Reads Anthropic's answers: content, quality by rule, safety flags.

The rule of quality is that of `providers.answer_content`. Confidence is not measured: the vendor reports no probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.providers.answer_content import (
    CUT,
    ENDED,
    Content,
    json_content,
    json_in,
    out_of_tokens,
    refusal_content,
    text_content,
    tool_content,
)
from provider_worker.providers.anthropic.payloads import TOOL, asked_schema
from provider_worker.providers.anthropic.prices import cost_of
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable

_COMPLETE = ("end_turn", "stop_sequence", "tool_use")


def audit_message(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Messages protocol. Raises ProviderError when there is nothing in it."""
    found = raw.get("content") if isinstance(raw, dict) else None
    if not isinstance(found, list):
        raise ProviderError(Failure(code="malformed_response", message="The server's answer holds no message."))
    blocks = [block for block in found if isinstance(block, dict)]
    stop = str(raw.get("stop_reason") or "end_turn")
    refused = stop == "refusal"
    content = _refusal(blocks, raw) if refused else _content(payload, blocks, stop, as_json=as_json)
    usage = raw["usage"] if isinstance(raw.get("usage"), dict) else {}
    model = str(raw.get("model") or payload.get("model"))
    return Audit(
        response={**content.response, "finish_reason": stop, "model": model},
        schema=content.schema,
        signals=Signals(safety_flags=_flags(raw) if refused else (), response_quality=content.quality),
        usage=usage,
        cost=cost_of(prices, model, usage) or cost_of(prices, payload.get("model"), usage),
    )


def _content(payload: Mapping[str, Any], blocks: list[dict[str, Any]], stop: str, *, as_json: bool) -> Content:
    text, calls = _text(blocks), [block for block in blocks if block.get("type") == "tool_use"]
    quality = ENDED if stop in _COMPLETE else CUT
    answer = next((call.get("input") for call in calls if call.get("name") == TOOL), None) if as_json else None
    if answer is not None:
        return json_content(answer, asked_schema(payload), quality)
    if calls:
        return tool_content(
            text, [{name: call.get(name) for name in ("id", "name", "input")} for call in calls], quality
        )
    if not text.strip():
        raise ProviderError(_nothing(stop))
    return json_in(text, asked_schema(payload), quality) if as_json else text_content(text, quality)


def _refusal(blocks: list[dict[str, Any]], raw: Mapping[str, Any]) -> Content:
    said = at(raw, ["stop_details", "explanation"])
    return refusal_content(_text(blocks) or (said if isinstance(said, str) else ""))


def _flags(raw: Mapping[str, Any]) -> tuple[str, ...]:
    category = at(raw, ["stop_details", "category"])
    return ("refusal", category) if isinstance(category, str) and category else ("refusal",)


def _nothing(stop: str) -> Failure:
    if stop == "max_tokens":
        return out_of_tokens()
    return Failure(code="empty_response", message="The server answered with an empty message.")


def _text(blocks: list[dict[str, Any]]) -> str:
    """Join the text blocks; thoughts are no part of them."""
    return "".join(
        block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)
    )
