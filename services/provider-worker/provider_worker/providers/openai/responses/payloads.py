"""The body of a response, and its JSON Schema. An intent is the same for both protocols: its chat parameters are translated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.providers.call import CallIntent
from provider_worker.providers.chat_completions.payloads import JSON, JSON_HINT, TEXT, json_format
from provider_worker.providers.openai.responses.translation import format_of, input_of, members_of, part_of
from provider_worker.providers.payload_schema import at, body_schema

_MEMBERS: Mapping[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "input": {"type": ["string", "array"], "minLength": 1, "minItems": 1},
    "instructions": {"type": ["string", "null"]},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "max_output_tokens": {"type": "integer", "minimum": 16},
    "max_tool_calls": {"type": "integer", "minimum": 1},
    "text": {"type": "object"},
    "reasoning": {"type": ["object", "null"]},
    "tools": {"type": "array"},
    "tool_choice": {"type": ["string", "object"]},
    "parallel_tool_calls": {"type": "boolean"},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
    "include": {"type": "array", "items": {"type": "string"}},
    "truncation": {"type": "string", "enum": ["auto", "disabled"]},
    "previous_response_id": {"type": ["string", "null"]},
    "conversation": {"type": ["string", "object", "null"]},
    "prompt": {"type": "object"},
    "prompt_cache_key": {"type": "string"},
    "service_tier": {"type": "string"},
    "metadata": {"type": "object"},
    "store": {"type": "boolean"},
    "user": {"type": "string"},
    "safety_identifier": {"type": "string"},
    "background": {"type": "boolean"},
    "stream": {"type": "boolean"},
    "stream_options": {"type": ["object", "null"]},
}


def responses_schema() -> dict[str, Any]:
    """Return the JSON Schema of a body. Members it does not know are allowed; a warning names them."""
    return body_schema("OpenAI response", _MEMBERS, ["model", "input"])


def responses_body(
    intent: CallIntent, parts: Sequence[Mapping[str, Any]], members: Mapping[str, Any]
) -> dict[str, Any]:
    """Build a body: earlier messages, the prompt with the attachments' `parts`, and further `members`.

    Texts stream by default; a response that takes minutes is made in the background. Only background responses are stored.
    """
    parameters = intent.parameters
    body: dict[str, Any] = {"model": intent.model, "input": _input(intent, parts)}
    if isinstance(parameters.get("system"), str):
        body["instructions"] = parameters["system"]
    body |= members_of(members)
    if intent.operation == JSON:
        body["text"] = {"format": format_of(json_format(parameters.get("schema"))), **body.get("text", {})}
    return {**body, **{name: value for name, value in _usual(intent, body).items() if name not in body}}


def _usual(intent: CallIntent, body: Mapping[str, Any]) -> dict[str, Any]:
    if body.get("background") is True or takes_minutes(body):
        return {"background": True}
    return {"store": False, **({"stream": True} if intent.operation == TEXT else {})}


def _input(intent: CallIntent, parts: Sequence[Mapping[str, Any]]) -> Any:
    parameters = intent.parameters
    items: list[Any] = []
    if intent.operation == JSON and not {"system", "schema"} & parameters.keys():
        # Among the messages: for "any JSON" OpenAI wants the word there, and does not look into `instructions`.
        items.append({"role": "developer", "content": JSON_HINT})
    if isinstance(parameters.get("messages"), list):
        items += input_of(parameters["messages"])
    if not items and not parts:
        return intent.prompt
    content = [{"type": "input_text", "text": intent.prompt}, *(part_of(part, "user") for part in parts)]
    return [*items, {"role": "user", "content": content if parts else intent.prompt}]


_SLOW_MODELS = re.compile(r"deep-research|-pro(-\d{4}-\d{2}-\d{2})?$")
_LONG_EFFORTS = ("high", "xhigh", "max")


def takes_minutes(body: Mapping[str, Any]) -> bool:
    """Return whether a response is made in the background by default.

    The rule: a model for deep research, one whose name ends in `-pro`, the reasoning mode `pro`, or reasoning with the effort `high` and
    above; never where the body says `background`, `stream` or `store` itself.
    """
    if not {"background", "stream", "store"}.isdisjoint(body):
        return False
    slow = _SLOW_MODELS.search(str(body.get("model"))) is not None
    reasoning = body.get("reasoning")
    return slow or at(reasoning, ["effort"]) in _LONG_EFFORTS or at(reasoning, ["mode"]) == "pro"
