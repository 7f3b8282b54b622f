"""Reads completed chats: content, quality by rule, safety flags.

The rule of quality is that of `providers.answers.content`. Of several choices the first is the answer, the others stand beside it, and
the worst quality counts: all of them are the result. Confidence is the mean probability of the answer's tokens where the
server reports it (`logprobs`). Safety flags come from the server's content filter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.providers.answers.content import CUT, ENDED, FILTERED, Asked, Content, content_of
from provider_worker.providers.answers.said import Said
from provider_worker.providers.base import Audit, Fragment, ProviderError
from provider_worker.providers.chat_completions.messages import said_in
from provider_worker.providers.chat_completions.prices import cost_of, spent_on, usage_in
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Unfinished

_ENDED = ("stop", "tool_calls", "function_call", "end_turn", "stop_sequence", "tool_use", "eos", "eos_token")
_FILTER = "content_filter"
_FLAGS = {"sexual": "nsfw", "protected_material_text": "copyright", "protected_material_code": "copyright"}
_HARMLESS = ("safe", "low", None)


class Choice(NamedTuple):
    """One of an answer's choices: what it says, why it ended if the server tells, and what else it tells."""

    said: Said
    finish: str | None
    told: Mapping[str, Any]

    @property
    def end(self) -> float:
        """The quality that its end allows."""
        if self.finish is not None and self.finish.startswith(_FILTER):
            return FILTERED
        return ENDED if self.finish in _ENDED else CUT


def audit_chat(prices: PriceTable, payload: Mapping[str, Any], raw: Any, *, as_json: bool) -> Audit:
    """Read an answer of the Chat Completions protocol. Raises ProviderError when there is nothing in it."""
    schema = at(payload, ["response_format", "json_schema", "schema"])
    asked = Asked(as_json, schema, tools_in(payload))
    return audit_choices(prices, payload, raw, choices_in(raw), asked)


def audit_choices(
    prices: PriceTable, payload: Mapping[str, Any], raw: Any, choices: Sequence[Choice], asked: Asked
) -> Audit:
    """Judge the choices of an answer, of either protocol. Raises ProviderError when there is nothing in them."""
    if not choices:
        message = "The answer cannot be scored: it holds no completion."
        raise ProviderError(Failure(code="malformed_response", message=message))
    first, content, others = _judged(choices, asked)
    usage, model = usage_in(raw), str(raw.get("model") or payload.get("model"))
    response = {**content.response, "finish_reason": first.finish, "model": model}
    if others:
        response["alternatives"] = [other.response for other in others]
    qualities = [found.quality for found in (content, *others) if found.quality is not None]
    quality = min(qualities) if len(qualities) > len(others) else None
    signals = Signals(
        confidence=_confidence(first.told),
        safety_flags=tuple(dict.fromkeys(_flags(raw, choices))),
        response_quality=quality,
        findings=content.findings,
    )
    cost = cost_of(prices, model, usage) or cost_of(prices, payload.get("model"), usage)
    return Audit(response, content.schema, signals, usage, cost)


def _judged(choices: Sequence[Choice], asked: Asked) -> tuple[Choice, Content, list[Content]]:
    """Return the first choice that holds anything, as it is judged, and the others. Raises ProviderError when none does."""
    found: list[tuple[Choice, Content]] = []
    nothing: ProviderError | None = None
    for choice in choices:
        try:
            content = content_of(choice.said, choice.end, asked)
        except ProviderError as error:
            nothing = nothing or error
        else:
            found.append((choice, content))
    if not found:
        assert nothing is not None, "there are choices"
        raise nothing
    (first, content), *others = found
    shown = [
        content._replace(response={**content.response, "finish_reason": choice.finish}) for choice, content in others
    ]
    return first, content, shown


def received_chat(prices: PriceTable, call: Unfinished, raw: Any) -> Fragment:
    """Return what came of a chat that failed. Its usage is estimated where the server told none and the payload is at hand."""
    found = choices_in(raw)
    return received(prices, call, raw, found[0].said.readable if found else {})


def received(prices: PriceTable, call: Unfinished, raw: Any, response: dict[str, Any]) -> Fragment:
    """Return what came of a call of either protocol, with its usage and cost."""
    usage = usage_in(raw) or dict(call.usage)
    model = at(raw, ["model"])
    if usage:
        cost = cost_of(prices, model, usage) or cost_of(prices, call.model, usage)
        return Fragment(raw=raw, response=response, usage=usage, cost=cost)
    spent = spent_on(prices, call)
    return Fragment(raw=raw, response=response, usage=spent.usage, cost=spent.cost, estimated=spent.estimated)


def choices_in(raw: Any) -> list[Choice]:
    """Return the choices of a completion; none where `raw` is no completion."""
    found = at(raw, ["choices"])
    return [
        Choice(said_in(message), str(end) if (end := choice.get("finish_reason")) else None, choice)
        for choice in (found if isinstance(found, list) else [])
        if isinstance(choice, dict) and (message := _message(choice)) is not None
    ]


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a choice's message; some servers write a stream's `delta`, or the older protocol's `text`."""
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            found: Mapping[str, Any] = choice[name]
            return found
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else None


def tools_in(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schemas of the tools that a payload offers, by name; None where it offers none."""
    tools, functions = payload.get("tools"), payload.get("functions")
    told = [
        tool["function"] if isinstance(tool.get("function"), Mapping) else tool
        for tool in [*(tools if isinstance(tools, list) else []), *(functions if isinstance(functions, list) else [])]
        if isinstance(tool, Mapping)
    ]
    named = {tool["name"]: tool.get("parameters") for tool in told if isinstance(tool.get("name"), str)}
    return {name: True if schema is None else schema for name, schema in named.items()} or None


def _flags(raw: Mapping[str, Any], choices: Sequence[Choice]) -> Iterator[str]:
    if any(choice.end == FILTERED for choice in choices):
        yield _FILTER
    prompts = raw.get("prompt_filter_results")
    found = [choice.told.get("content_filter_results") for choice in choices]
    found += [at(item, ["content_filter_results"]) for item in (prompts if isinstance(prompts, list) else [])]
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
