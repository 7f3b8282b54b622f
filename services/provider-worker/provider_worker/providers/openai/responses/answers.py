"""Reads responses by the rules of chat completions, so that both protocols' answers amount to the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provider_worker.providers.answers.content import Asked
from provider_worker.providers.answers.said import Said, ToolCall, words_in
from provider_worker.providers.base import Audit, Fragment
from provider_worker.providers.chat_completions.messages import said_in
from provider_worker.providers.chat_completions.responses import Choice, audit_choices, received, tools_in
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Unfinished

_CUT = {"max_output_tokens": "length", "content_filter": "content_filter"}
_CALLS = ("function_call", "custom_tool_call")
_DONE_BY_THE_SERVER = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "mcp_call",
    "mcp_list_tools",
    "tool_search_call",
    "tool_search_output",
    "compaction",
)
"""Items that tell what the server did on the way to its answer; they are shown where there is nothing else."""


def audit_response(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Responses protocol. Raises ProviderError when there is nothing in it."""
    asked = Asked(as_json, at(payload, ["text", "format", "schema"]), tools_in(payload))
    return audit_choices(prices, payload, raw, _choices(raw), asked)


def received_response(prices: PriceTable, call: Unfinished, raw: Any) -> Fragment:
    """Return what came of a response that failed, with its usage and cost."""
    found = _choices(raw)
    return received(prices, call, raw, found[0].said.readable if found else {})


def _choices(raw: Any) -> list[Choice]:
    """Return a response as the one choice of a chat; none where `raw` is no response."""
    if not isinstance(raw, dict) or not isinstance(raw.get("output"), list):
        return []
    items = [item for item in raw["output"] if isinstance(item, dict)]
    parts = [part for item in items if item.get("type") == "message" for part in _listed(item.get("content"))]
    said = _said(items, [part for part in parts if isinstance(part, dict)])
    logprobs = [token for part in parts for token in _listed(at(part, ["logprobs"]))]
    return [Choice(said, _finish(raw, items, said), {"logprobs": {"content": logprobs}})]


def _said(items: list[dict[str, Any]], parts: list[dict[str, Any]]) -> Said:
    message = said_in({"content": parts})
    thoughts = "".join(words_in(item) for item in items if item.get("type") == "reasoning")
    images = [item for item in items if item.get("type") == "image_generation_call" and item.get("result")]
    steps = [item for item in items if item.get("type") in _DONE_BY_THE_SERVER]
    return Said(
        text=message.text,
        refusal=message.refusal,
        calls=tuple(_calls(items)),
        reasoning=thoughts or message.reasoning,
        media={**message.media, **({"images": images} if images else {})},
        items=(*message.items, *(item for item in items if _is_unknown(item))),
        rest={"steps": steps} if steps else {},
    )


def _is_unknown(item: Mapping[str, Any]) -> bool:
    kind = item.get("type")
    return bool(item) and kind not in ("message", "reasoning", "image_generation_call", *_CALLS, *_DONE_BY_THE_SERVER)


def _finish(raw: Mapping[str, Any], items: list[dict[str, Any]], said: Said) -> str:
    if raw.get("status") == "incomplete":
        reason = at(raw, ["incomplete_details", "reason"])
        return _CUT.get(reason, reason) if isinstance(reason, str) else "length"
    if any(item.get("status") == "incomplete" for item in items if item.get("type") in ("message", *_CALLS)):
        return "length"
    return "tool_calls" if said.calls else "stop"


def _calls(items: list[dict[str, Any]]) -> Iterator[ToolCall]:
    for item in items:
        name, call_id = item.get("name"), item.get("call_id")
        match item.get("type"):
            case "function_call":
                function = {"name": name, "arguments": item.get("arguments")}
                shown = {"id": call_id, "type": "function", "function": function}
                yield ToolCall(shown, name, item.get("arguments"))
            case "custom_tool_call":
                custom = {"name": name, "input": item.get("input")}
                yield ToolCall({"id": call_id, "type": "custom", "custom": custom}, name, custom["input"], is_free=True)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
