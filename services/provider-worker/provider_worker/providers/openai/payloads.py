"""What is sent to OpenAI, and its JSON Schema. Files stay artifact refs in a payload; their bytes go in at the call alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.work import CallIntent, Failure, Issue
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.validation import pointer

TEXT, JSON, IMAGE = "text", "json", "image"
OPERATIONS = (TEXT, JSON, IMAGE)

_READABLE = ("text/", "application/json", "application/xml", "application/yaml")
_OWN_NAMES = ("system", "messages", "schema", "model", "prompt")
"""Parameters that shape the messages and are no members of the body."""

_JSON_HINT = "Answer with one JSON object and nothing else."

_PENALTY = {"type": "number", "minimum": -2, "maximum": 2}
_CHAT: dict[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "role": {"type": "string", "enum": ["system", "developer", "user", "assistant", "tool"]},
                "content": {"type": ["string", "array", "null"]},
            },
            "required": ["role"],
        },
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "max_tokens": {"type": "integer", "minimum": 1},
    "max_completion_tokens": {"type": "integer", "minimum": 1},
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "seed": {"type": "integer"},
    "stop": {"type": ["string", "array", "null"]},
    "reasoning_effort": {"type": "string"},
    "verbosity": {"type": "string", "enum": ["low", "medium", "high"]},
    "response_format": {"type": "object"},
    "logprobs": {"type": "boolean"},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
    "logit_bias": {"type": "object"},
    "tools": {"type": "array"},
    "tool_choice": {"type": ["string", "object"]},
    "parallel_tool_calls": {"type": "boolean"},
    "service_tier": {"type": "string"},
    "metadata": {"type": "object"},
    "store": {"type": "boolean"},
    "user": {"type": "string"},
    "safety_identifier": {"type": "string"},
    "n": {"type": "integer", "const": 1},
    "stream": {"type": "boolean", "const": False},
}
_IMAGE: dict[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "prompt": {"type": "string", "minLength": 1, "maxLength": 32_000},
    "n": {"type": "integer", "minimum": 1, "maximum": 10},
    "size": {"type": "string", "pattern": "^(auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})$"},
    "quality": {"type": "string", "enum": ["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]},
    "background": {"type": "string", "enum": ["auto", "transparent", "opaque"]},
    "output_format": {"type": "string", "enum": ["png", "webp", "jpeg"]},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "moderation": {"type": "string", "enum": ["auto", "low"]},
    "response_format": {"type": "string", "enum": ["b64_json", "url"]},
    "style": {"type": "string", "enum": ["vivid", "natural"]},
    "user": {"type": "string"},
    "stream": {"type": "boolean", "const": False},
}


def schema_of(operation: str) -> dict[str, Any]:
    """Return the JSON Schema of a request body. Members it does not know are allowed; a warning names them."""
    members, required = (_IMAGE, ["model", "prompt"]) if operation == IMAGE else (_CHAT, ["model", "messages"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "OpenAI image generation" if operation == IMAGE else "OpenAI chat completion",
        "type": "object",
        "properties": members,
        "required": required,
    }


def build(intent: CallIntent, attachments: Sequence[Attachment]) -> dict[str, Any]:
    """Build a request body. Raises ProviderError for an attachment that the operation cannot take."""
    members = {name: value for name, value in intent.parameters.items() if name not in _OWN_NAMES}
    if intent.operation == IMAGE:
        if attachments:
            raise _unsupported(0, "images are made from the prompt alone")
        drawn = str(intent.model).startswith(("gpt-image", "chatgpt-image"))
        defaults = {} if drawn else {"response_format": "b64_json"}
        return {"model": intent.model, "prompt": intent.prompt, **defaults, **members}
    body = {"model": intent.model, "messages": _messages(intent, attachments), **members}
    if intent.operation == JSON and "response_format" not in body:
        body["response_format"] = _response_format(intent.parameters.get("schema"))
    return body


def _messages(intent: CallIntent, attachments: Sequence[Attachment]) -> list[Any]:
    parameters = intent.parameters
    messages: list[Any] = []
    if isinstance(parameters.get("system"), str):
        messages.append({"role": "system", "content": parameters["system"]})
    elif intent.operation == JSON and "schema" not in parameters:
        messages.append({"role": "system", "content": _JSON_HINT})
    if isinstance(parameters.get("messages"), list):
        messages += parameters["messages"]
    parts = [_part(index, attachment) for index, attachment in enumerate(attachments)]
    content = [{"type": "text", "text": intent.prompt}, *parts] if parts else intent.prompt
    return [*messages, {"role": "user", "content": content}]


def _part(index: int, attachment: Attachment) -> dict[str, Any]:
    kind = attachment.media_type or "image/"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": attachment.url}}
    if kind == "application/pdf":
        return {"type": "file", "file": {"filename": f"attachment-{index + 1}.pdf", "file_data": attachment.url}}
    if kind.startswith(_READABLE):
        return {"type": "text", "text": attachment.url}
    raise _unsupported(index, f"{kind} is neither an image, a PDF nor text")


def _response_format(schema: Any) -> dict[str, Any]:
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": is_strict(schema)}}


def is_strict(schema: Any) -> bool:
    """Say whether OpenAI can promise to keep to a schema: every object names all its members and allows no others."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if "properties" in schema or schema.get("type") == "object":
        members, required = schema.get("properties", {}), schema.get("required", [])
        named = isinstance(members, Mapping) and isinstance(required, list) and set(members) <= set(map(str, required))
        if schema.get("additionalProperties") is not False or not named:
            return False
    return all(map(is_strict, schema.values()))


def _unsupported(index: int, why: str) -> ProviderError:
    message = f"The attachment cannot be sent: {why}."
    issue = Issue(code="attachment_unsupported", message=message, path=pointer(["attachments", index]))
    return ProviderError(Failure(code="attachment_unsupported", message=message, issues=(issue,)))
