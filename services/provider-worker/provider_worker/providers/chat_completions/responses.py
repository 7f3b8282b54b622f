"""Reads completed chats: content, quality by rule, safety flags.

The rule of quality is that of `providers.answer_content`. Confidence is the mean probability of the answer's tokens where the
server reports it (`logprobs`). Safety flags come from the server's content filter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.providers.answer_content import (
    CUT,
    ENDED,
    FILTERED,
    Content,
    json_in,
    out_of_tokens,
    refusal_content,
    text_content,
    tool_content,
)
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.chat_completions.prices import cost_of
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable

_QUALITY = {"stop": ENDED, "tool_calls": ENDED, "function_call": ENDED, "length": CUT, "content_filter": FILTERED}
_FLAGS = {"sexual": "nsfw", "protected_material_text": "copyright", "protected_material_code": "copyright"}
_HARMLESS = ("safe", "low", None)


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
    content = _content(payload, message, finish, as_json=as_json)
    return Audit(
        response={**content.response, **common},
        schema=content.schema,
        signals=Signals(confidence=_confidence(choice), safety_flags=flags, response_quality=content.quality),
        usage=usage,
        cost=cost_of(prices, common["model"], usage) or cost_of(prices, payload.get("model"), usage),
    )


def _content(payload: Mapping[str, Any], message: Mapping[str, Any], finish: str, *, as_json: bool) -> Content:
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        return refusal_content(message["refusal"])
    text, calls = text_of(message.get("content")), message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return tool_content(text, calls, ENDED)
    if not text.strip():
        raise ProviderError(_nothing(finish))
    quality = _QUALITY.get(finish, CUT)
    asked = at(payload, ["response_format", "json_schema", "schema"])
    return json_in(text, asked, quality) if as_json else text_content(text, quality)


def _nothing(finish: str) -> Failure:
    match finish:
        case "content_filter":
            return Failure(code="content_filtered", message="The server's content filter held back the whole answer.")
        case "length":
            return out_of_tokens()
        case _:
            return Failure(code="empty_response", message="The server answered with an empty completion.")


def text_of(content: Any) -> str:
    """Return the text of a message's content, which is one or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _flags(raw: Mapping[str, Any], choice: Mapping[str, Any], finish: str) -> Iterator[str]:
    if finish == "content_filter":
        yield "content_filter"
    prompts = raw.get("prompt_filter_results")
    found = [choice.get("content_filter_results"), *(at(item, ["content_filter_results"]) for item in prompts or [])]
    for results in found:
        for name, result in results.items() if isinstance(results, dict) else ():
            if is_flagged(result):
                yield _FLAGS.get(name, str(name))


def is_flagged(result: Any) -> bool:
    """Return whether a content filter flagged a category."""
    if not isinstance(result, dict):
        return False
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
