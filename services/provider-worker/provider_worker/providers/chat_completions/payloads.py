"""The body of a chat completion, and its JSON Schema. Files stay artifact refs in a payload; their bytes go in at the call alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.providers.call import CallIntent
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import Attachment
from provider_worker.providers.files import PREFIX, data_url, in_messages, is_readable, read, read_text
from provider_worker.providers.payload_schema import body_schema

TEXT, JSON = "text", "json"
CHATS = (TEXT, JSON)

JSON_HINT = "Answer with one JSON object and nothing else."

_PENALTY = {"type": "number", "minimum": -2, "maximum": 2}
_MEMBERS: Mapping[str, Any] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "max_tokens": {"type": "integer", "minimum": 1},
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "seed": {"type": "integer"},
    "stop": {"type": ["string", "array", "null"]},
    "response_format": {"type": "object"},
    "logprobs": {"type": "boolean"},
    "top_logprobs": {"type": "integer", "minimum": 0},
    "tools": {"type": "array"},
    "tool_choice": {"type": ["string", "object"]},
    "n": {"type": "integer", "const": 1},
    "stream": {"type": "boolean"},
    "stream_options": {"type": ["object", "null"]},
}


def chat_schema(title: str, roles: Sequence[str], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a body, with the `own` members that a server adds or takes otherwise."""
    message = {
        "type": "object",
        "properties": {
            "role": {"type": "string", "enum": list(roles)},
            "content": {"type": ["string", "array", "null"]},
        },
        "required": ["role"],
    }
    members = {
        "model": {"type": "string", "minLength": 1},
        "messages": {"type": "array", "minItems": 1, "items": message},
        **_MEMBERS,
        **own,
    }
    return body_schema(title, members, ["model", "messages"])


def chat_body(intent: CallIntent, parts: Sequence[Mapping[str, Any]], members: Mapping[str, Any]) -> dict[str, Any]:
    """Build a body: earlier messages, the prompt with the attachments' `parts`, and further `members`."""
    content = [{"type": "text", "text": intent.prompt}, *parts] if parts else intent.prompt
    messages = [*_earlier(intent), {"role": "user", "content": content}]
    return {"model": intent.model, "messages": messages, **members}


def streamed(operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body that asks for its answer in pieces where people read them: texts, unless the body says otherwise."""
    asks = {**body, "stream": body.get("stream", True)} if operation == TEXT else dict(body)
    if asks.get("stream") is True:
        asks.setdefault("stream_options", {"include_usage": True})
    return asks


def part_of(attachment: Attachment) -> dict[str, Any] | None:
    """Return the part of a message that carries an image or a text, None for anything else. A link is taken for an image."""
    kind = attachment.media_type or "image/"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": attachment.url}}
    return {"type": "text", "text": attachment.url} if is_readable(kind) else None


def json_format(schema: Any) -> dict[str, Any]:
    """Return the `response_format` that asks for JSON by a schema, or for any object where that is None."""
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": is_strict(schema)}}


def is_strict(schema: Any) -> bool:
    """Return whether OpenAI can keep strictly to a schema: every object names all its members and allows no others."""
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


def _earlier(intent: CallIntent) -> list[Any]:
    parameters = intent.parameters
    messages: list[Any] = []
    if isinstance(parameters.get("system"), str):
        messages.append({"role": "system", "content": parameters["system"]})
    elif intent.operation == JSON and "schema" not in parameters:
        messages.append({"role": "system", "content": JSON_HINT})
    if isinstance(parameters.get("messages"), list):
        messages += parameters["messages"]
    return messages


async def with_files(payload: Mapping[str, Any], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return the payload with the files that its messages name. Raises ProviderError when one is gone."""

    async def fill(part: Any) -> Any:
        match part:
            case {"type": "image_url", "image_url": {"url": str(ref)} as inner} if ref.startswith(PREFIX):
                return {**part, "image_url": {**inner, "url": data_url(*await read(ref, artifacts))}}
            case {"type": "file", "file": {"file_data": str(ref)} as inner} if ref.startswith(PREFIX):
                return {**part, "file": {**inner, "file_data": data_url(*await read(ref, artifacts))}}
            case {"type": "text", "text": str(ref)} if ref.startswith(PREFIX):
                return {**part, "text": await read_text(ref, artifacts)}
        return part

    return await in_messages(payload, fill)
