"""Reads Anthropic's answers: content, quality by rule, safety flags.

The rule of quality is that of `providers.answers.content`. Confidence is not measured: the vendor reports no probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.providers.answers.content import CUT, ENDED, Asked, content_of
from provider_worker.providers.answers.said import NO_VALUE, Said, ToolCall, words_in
from provider_worker.providers.anthropic.payloads import TOOL, asked_schema
from provider_worker.providers.anthropic.prices import cost_of, spent
from provider_worker.providers.base import Audit, Fragment, ProviderError
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Unfinished

_COMPLETE = ("end_turn", "stop_sequence", "tool_use")
_THOUGHTS = ("thinking", "redacted_thinking")
_DONE_BY_THE_SERVER = ("server_tool_use", "mcp_tool_use", "mcp_tool_result", "container_upload", "compaction")
_RESULT = "_tool_result"
"""How the types end of what the server's own tools found."""


def audit_message(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Messages protocol. Raises ProviderError when there is nothing in it."""
    blocks = _blocks(raw)
    if blocks is None:
        message = "The answer cannot be scored: it holds no message."
        raise ProviderError(Failure(code="malformed_response", message=message))
    stop = str(raw["stop_reason"]) if raw.get("stop_reason") else None
    asked = Asked(as_json, asked_schema(payload), _tools(payload))
    content = content_of(_said(blocks, raw, as_json=as_json), ENDED if stop in _COMPLETE else CUT, asked)
    usage = raw["usage"] if isinstance(raw.get("usage"), dict) else {}
    model = str(raw.get("model") or payload.get("model"))
    flags = _flags(raw) if stop == _REFUSAL else ()
    return Audit(
        response={**content.response, "finish_reason": stop, "model": model},
        schema=content.schema,
        signals=Signals(safety_flags=flags, response_quality=content.quality, findings=content.findings),
        usage=usage,
        cost=cost_of(prices, model, usage) or cost_of(prices, payload.get("model"), usage),
    )


def received_message(prices: PriceTable, call: Unfinished, raw: Any) -> Fragment:
    """Return what came of a message that failed. Counts that were not told are estimated where the payload is at hand."""
    blocks, usage = _blocks(raw), at(raw, ["usage"])
    response = {} if blocks is None else _said(blocks, raw, as_json=False).readable
    told = {**call.usage, **(usage if isinstance(usage, dict) else {})}
    model = at(raw, ["model"])
    if call.payload is None or _OUTPUT in call.usage:
        cost = cost_of(prices, model, told) or cost_of(prices, call.model, told)
        return Fragment(raw=raw, response=response, usage=told, cost=cost)
    found = spent(prices, call)
    return Fragment(raw=raw, response=response, usage=found.usage, cost=found.cost, estimated=found.estimated)


_OUTPUT = "output_tokens"
_REFUSAL = "refusal"


def _blocks(raw: Any) -> list[dict[str, Any]] | None:
    found = at(raw, ["content"]) if isinstance(raw, dict) else None
    return [block for block in found if isinstance(block, dict) and block] if isinstance(found, list) else None


def _said(blocks: list[dict[str, Any]], raw: Mapping[str, Any], *, as_json: bool) -> Said:
    used = [block for block in blocks if block.get("type") == "tool_use"]
    value = next((block.get("input") for block in used if block.get("name") == TOOL), None) if as_json else None
    # An input that is no object was cut off before it was JSON.
    text = value if isinstance(value, str) else _text(blocks)
    explained = at(raw, ["stop_details", "explanation"])
    is_refused = raw.get("stop_reason") == _REFUSAL
    steps = [block for block in blocks if _is_step(block)]
    return Said(
        text=text if text or not is_refused or not isinstance(explained, str) else explained,
        is_refused=is_refused,
        calls=() if isinstance(value, str) else tuple(map(_call, used)),
        value=NO_VALUE if value is None or isinstance(value, str) else value,
        reasoning="".join(words_in(block) for block in blocks if block.get("type") in _THOUGHTS),
        items=tuple(block for block in blocks if _is_unknown(block)),
        rest={"steps": steps} if steps else {},
    )


def _call(block: Mapping[str, Any]) -> ToolCall:
    return ToolCall({name: block.get(name) for name in ("id", "name", "input")}, block.get("name"), block.get("input"))


def _tools(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schemas of the tools that a payload offers, by name; a tool of Anthropic's own states none."""
    tools = payload.get("tools")
    found = [tool for tool in (tools if isinstance(tools, list) else []) if isinstance(tool, Mapping)]
    return {tool["name"]: tool.get("input_schema", True) for tool in found if isinstance(tool.get("name"), str)} or None


def _is_step(block: Mapping[str, Any]) -> bool:
    kind = str(block.get("type"))
    return kind in _DONE_BY_THE_SERVER or kind.endswith(_RESULT)


def _is_unknown(block: Mapping[str, Any]) -> bool:
    if block.get("type") == "text":
        return not isinstance(block.get("text"), str)
    return block.get("type") not in ("tool_use", *_THOUGHTS) and not _is_step(block)


def _flags(raw: Mapping[str, Any]) -> tuple[str, ...]:
    category = at(raw, ["stop_details", "category"])
    return ("refusal", category) if isinstance(category, str) and category else ("refusal",)


def _text(blocks: list[dict[str, Any]]) -> str:
    """Join the text blocks; thoughts are no part of them."""
    return "".join(
        block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)
    )
