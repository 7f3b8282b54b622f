"""Reading OpenAI's answers: what was said, how good it is by rule, what was flagged.

The rule of quality, for text: 1 when the model ended by itself, 0.6 when it was cut for length, 0.3 when a filter cut it, 0.1 when it
refused. For JSON: 0 when it is none, 0.2 when it does not fit its schema. Confidence is the mean probability of the answer's tokens
where the server tells it (`logprobs`). Safety flags come from the server's content filter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.policy import Signals
from contracts.work import Failure
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.openai.prices import cost_of
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import UnusableSchema, at, compile_schema

_QUALITY = {"stop": 1.0, "tool_calls": 1.0, "function_call": 1.0, "length": 0.6, "content_filter": 0.3}
_FLAGS = {"sexual": "nsfw", "protected_material_text": "copyright", "protected_material_code": "copyright"}
_HARMLESS = ("safe", "low", None)

_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_IMAGES = {
    "type": "object",
    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1}},
    "required": ["images"],
}


def audit_images(prices: PriceTable, payload: Mapping[str, Any], raw: Any) -> Audit:
    """Read an answer of the Images protocol. Raises ProviderError when there is no image in it."""
    data = raw.get("data") if isinstance(raw, dict) else None
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    images = [url for item in items if isinstance(url := item.get("b64_json") or item.get("url"), str)]
    if not images:
        raise ProviderError(Failure(code="empty_response", message="The server answered without an image."))
    revised = [item["revised_prompt"] for item in items if isinstance(item.get("revised_prompt"), str)]
    response = {"images": images, **({"revised_prompts": revised} if revised else {})}
    usage = raw["usage"] if isinstance(raw.get("usage"), dict) else {}
    cost = cost_of(prices, payload.get("model"), usage)
    return Audit(response, _IMAGES, Signals(response_quality=1.0), usage, cost)


def audit_chat(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Chat Completions protocol. Raises ProviderError when there is nothing in it."""
    choice = at(raw, ["choices", 0])
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise ProviderError(Failure(code="malformed_response", message="The server's answer holds no completion."))
    finish = str(choice.get("finish_reason") or "stop")
    flags = tuple(dict.fromkeys(_flags(raw, choice, finish)))
    usage = raw["usage"] if isinstance(raw.get("usage"), dict) else {}
    common = {"finish_reason": finish, "model": str(raw.get("model") or payload.get("model"))}
    response, schema, quality = _content(payload, message, finish, as_json=as_json)
    return Audit(
        response={**response, **common},
        schema=schema,
        signals=Signals(confidence=_confidence(choice), safety_flags=flags, response_quality=quality),
        usage=usage,
        cost=cost_of(prices, common["model"], usage) or cost_of(prices, payload.get("model"), usage),
    )


def _content(
    payload: Mapping[str, Any], message: Mapping[str, Any], finish: str, *, as_json: bool
) -> tuple[dict[str, Any], dict[str, Any], float]:
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        return {"text": message["refusal"], "refused": True}, _TEXT, 0.1
    text = _text(message.get("content"))
    if isinstance(message.get("tool_calls"), list) and message["tool_calls"]:
        schema = {"type": "object", "properties": {"text": {"type": "string"}, "tool_calls": {"type": "array"}}}
        return {"text": text, "tool_calls": message["tool_calls"]}, schema, _QUALITY["tool_calls"]
    if not text.strip():
        raise ProviderError(_nothing(finish))
    if not as_json:
        return {"text": text}, _TEXT, _QUALITY.get(finish, 0.6)
    return _json_content(payload, text, finish)


def _json_content(payload: Mapping[str, Any], text: str, finish: str) -> tuple[dict[str, Any], dict[str, Any], float]:
    asked = at(payload, ["response_format", "json_schema", "schema"])
    inner = {"$id": "urn:countersign:asked", **asked} if isinstance(asked, dict) and "$id" not in asked else asked
    schema = {"type": "object", "properties": {"json": True if inner is None else inner}, "required": ["json"]}
    try:
        value = json.loads(_unfenced(text))
    except (ValueError, RecursionError):
        return {"json": None, "text": text}, {"type": "object", "properties": {"json": True}}, 0.0
    try:
        fits = asked is None or compile_schema(asked).is_valid(value)
    except UnusableSchema:
        fits, schema = True, {"type": "object", "properties": {"json": True}}
    return {"json": value}, schema, _QUALITY.get(finish, 0.6) if fits else 0.2


def _nothing(finish: str) -> Failure:
    match finish:
        case "content_filter":
            return Failure(code="content_filtered", message="The server's content filter held back the whole answer.")
        case "length":
            message = "The model used up its tokens before it said anything; allow more of them."
            return Failure(code="empty_response", message=message)
        case _:
            return Failure(code="empty_response", message="The server answered with an empty completion.")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _unfenced(text: str) -> str:
    """Take JSON out of the Markdown fence that some models put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text[3:-3].removeprefix("json").strip()
    return text


def _flags(raw: Mapping[str, Any], choice: Mapping[str, Any], finish: str) -> Iterator[str]:
    if finish == "content_filter":
        yield "content_filter"
    prompts = raw.get("prompt_filter_results")
    found = [choice.get("content_filter_results"), *(at(item, ["content_filter_results"]) for item in prompts or [])]
    for results in found:
        for name, result in results.items() if isinstance(results, dict) else ():
            if isinstance(result, dict) and _is_flagged(result):
                yield _FLAGS.get(name, str(name))


def _is_flagged(result: Mapping[str, Any]) -> bool:
    return bool(result.get("filtered") or result.get("detected")) or result.get("severity") not in _HARMLESS


def _confidence(choice: Mapping[str, Any]) -> float | None:
    tokens = at(choice, ["logprobs", "content"])
    if not isinstance(tokens, list) or not tokens:
        return None
    logs = [
        token["logprob"]
        for token in tokens
        if isinstance(token, dict) and isinstance(token.get("logprob"), int | float)
    ]
    return min(1.0, math.exp(sum(logs) / len(logs))) if logs and all(map(math.isfinite, logs)) else None
