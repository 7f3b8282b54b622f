"""Reads responses by translating them into chat completions, so that both protocols' answers amount to the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provider_worker.providers.base import Audit
from provider_worker.providers.chat_completions.responses import audit_chat
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable

_CUT = {"max_output_tokens": "length", "content_filter": "content_filter"}


def audit_response(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Responses protocol. Raises ProviderError when there is nothing in it."""
    asked = at(payload, ["text", "format", "schema"])
    as_chat = {"model": payload.get("model"), "response_format": {"json_schema": {"schema": asked}}}
    return audit_chat(prices, as_chat, as_completion(raw), as_json=as_json)


def as_completion(raw: Any) -> Any:
    """Return a response as a chat completion; None where `raw` is no response."""
    if not isinstance(raw, dict) or not isinstance(raw.get("output"), list):
        return None
    items = [item for item in raw["output"] if isinstance(item, dict)]
    parts = list(_parts(items))
    calls = [_call(item) for item in items if item.get("type") == "function_call"]
    message = {"content": _joined(parts, "text"), "refusal": _joined(parts, "refusal"), "tool_calls": calls}
    logprobs = [token for part in parts for token in _listed(part.get("logprobs"))]
    choice = {"message": message, "finish_reason": _finish(raw, calls), "logprobs": {"content": logprobs}}
    return {"model": raw.get("model"), "choices": [choice], "usage": raw.get("usage")}


def _parts(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        if item.get("type") == "message":
            yield from (part for part in _listed(item.get("content")) if isinstance(part, dict))


def _finish(raw: Mapping[str, Any], calls: list[Any]) -> str:
    if raw.get("status") == "incomplete":
        reason = at(raw, ["incomplete_details", "reason"])
        return _CUT.get(reason, reason) if isinstance(reason, str) else "length"
    return "tool_calls" if calls else "stop"


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _joined(parts: list[dict[str, Any]], member: str) -> str:
    return "".join(part[member] for part in parts if isinstance(part.get(member), str))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
