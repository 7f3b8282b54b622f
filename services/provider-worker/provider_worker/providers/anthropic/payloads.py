"""Request bodies for Anthropic, and their JSON Schema. Text streams by default; structured output is the input of one tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.providers.call import CallIntent
from provider_worker.providers.anthropic.files import block_of
from provider_worker.providers.anthropic.rules import takes_force
from provider_worker.providers.base import Attachment
from provider_worker.providers.payload_schema import body_schema

TEXT, JSON = "text", "json"
OPERATIONS = (TEXT, JSON)

TOOL = "answer"
"""The tool whose input is the answer."""

DEFAULT_MAX_TOKENS = 4096

_OWN_NAMES = ("messages", "schema", "model", "prompt")
"""Parameters that shape the messages and are no members of the body."""

_TOOL_HINT = f"Give the answer by calling the tool `{TOOL}` once; write nothing beside it."

_MEMBERS: dict[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "max_tokens": {"type": "integer", "minimum": 1, "default": DEFAULT_MAX_TOKENS},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "role": {"type": "string", "enum": ["user", "assistant", "system"]},
                "content": {"type": ["string", "array"], "minLength": 1, "minItems": 1},
            },
            "required": ["role", "content"],
        },
    },
    "system": {"type": ["string", "array"]},
    "stop_sequences": {"type": "array", "items": {"type": "string"}},
    "tools": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,128}$"},
                "input_schema": {"type": "object", "properties": {"type": {"const": "object"}}, "required": ["type"]},
            },
            "required": ["name"],
        },
    },
    "tool_choice": {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": ["auto", "any", "tool", "none"]}, "name": {"type": "string"}},
        "required": ["type"],
    },
    "thinking": {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]},
    "output_config": {"type": "object"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "top_k": {"type": "integer", "minimum": 0},
    "metadata": {"type": "object"},
    "service_tier": {"type": "string", "enum": ["auto", "standard_only"]},
    "speed": {"type": ["string", "null"], "enum": ["standard", "fast", None]},
    "cache_control": {"type": ["object", "null"]},
    "container": {"type": ["string", "object", "null"]},
    "diagnostics": {"type": ["object", "null"]},
    "inference_geo": {"type": ["string", "null"]},
    "stream": {"type": "boolean"},
}


def payload_schema() -> dict[str, Any]:
    """Return the JSON Schema of a request body. Members it does not know are allowed; a warning names them."""
    return body_schema("Anthropic message", _MEMBERS, ["model", "max_tokens", "messages"])


def build(intent: CallIntent, attachments: Sequence[Attachment]) -> dict[str, Any]:
    """Build a request body. Raises ProviderError for an attachment that no content block can carry."""
    members = {name: value for name, value in intent.parameters.items() if name not in _OWN_NAMES}
    streams = {"stream": True} if intent.operation == TEXT else {}
    body = {
        "model": intent.model,
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": _messages(intent, attachments),
        **streams,
        **members,
    }
    asks_already = "tools" in members or "output_config" in members
    return body if intent.operation != JSON or asks_already else _asking_for_json(body, intent.parameters.get("schema"))


def asked_schema(payload: Mapping[str, Any]) -> Any:
    """Return the JSON Schema that the payload asks an answer for, or None where it asks for none."""
    match payload:
        case {"tools": [*tools]}:
            return next((tool.get("input_schema") for tool in tools if _is_answer(tool)), None)
        case {"output_config": {"format": {"schema": schema}}}:
            return schema
    return None


def _is_answer(tool: Any) -> bool:
    return isinstance(tool, Mapping) and tool.get("name") == TOOL


def _messages(intent: CallIntent, attachments: Sequence[Attachment]) -> list[Any]:
    earlier = intent.parameters.get("messages")
    blocks = [block_of(index, attachment) for index, attachment in enumerate(attachments)]
    content = [*blocks, {"type": "text", "text": intent.prompt}] if blocks else intent.prompt
    return [*(earlier if isinstance(earlier, list) else ()), {"role": "user", "content": content}]


def _asking_for_json(body: dict[str, Any], schema: Any) -> dict[str, Any]:
    wanted = {"type": "object", **schema} if isinstance(schema, Mapping) else {"type": "object"}
    tool = {"name": TOOL, "description": "Takes the answer, in the form that is asked for.", "input_schema": wanted}
    if takes_force(body):
        choice: dict[str, Any] = {"type": "tool", "name": TOOL, "disable_parallel_tool_use": True}
        return {**body, "tools": [tool], "tool_choice": choice}
    system = body.get("system", _TOOL_HINT)
    if system is not _TOOL_HINT and isinstance(system, str):
        system = f"{system}\n\n{_TOOL_HINT}"
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    return {**body, "system": system, "tools": [tool], "tool_choice": choice}
