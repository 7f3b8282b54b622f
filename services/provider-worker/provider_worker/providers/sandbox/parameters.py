"""The JSON Schema of sandbox payloads."""

from __future__ import annotations

from typing import Any

TEXT, JSON, IMAGE = "text", "json", "image"
OPERATIONS = (TEXT, JSON, IMAGE)

SIZES = ("256x256", "512x512", "1024x1024", "512x256", "256x512", "1024x512", "512x1024")
DEFAULT_SIZE = "512x512"

FAULTS = {
    "429": "too many requests; `retry_after` says when to come back",
    "500": "the vendor broke",
    "timeout": "no answer in time; the call may have happened",
    "refused": "no connection",
    "slow": "a good answer after `delay_seconds`",
    "malformed": "an answer that cannot be read",
    "unsafe": "an answer with the safety flag `nsfw`",
    "pii": "an answer with the safety flag `pii`",
    "low_confidence": "a good answer with confidence 0.3",
    "low_quality": "a poor answer, quality 0.2",
    "auth": "the key is not accepted",
    "content_filter": "the vendor refuses the prompt",
}
"""The faults that can be asked for, each with its meaning."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "Above 1 the sandbox is less sure."},
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": 4096, "description": "Words after which a text is cut."},
    "stream": {"type": "boolean", "description": "Say the text word by word, over the time that it takes."},
    "size": {"type": "string", "enum": list(SIZES), "default": DEFAULT_SIZE, "description": "Pixels of an image."},
    "schema": {"type": ["object", "boolean"], "description": "JSON Schema of the value that is asked for."},
    "fault": {"type": "string", "enum": list(FAULTS), "description": "What goes wrong, on purpose."},
    "fault_attempts": {
        "type": "integer",
        "minimum": 1,
        "description": "Only the first so many attempts have the fault.",
    },
    "retry_after": {"type": "number", "minimum": 0, "maximum": 3600, "description": "Seconds, for the fault 429."},
    "delay_seconds": {"type": "number", "minimum": 0, "maximum": 600, "description": "For the fault slow."},
    "preparation_confidence": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "What the preparation claims.",
    },
}


_MATTER_ALWAYS = ("fault", "fault_attempts", "retry_after", "delay_seconds", "preparation_confidence")
_MATTER = {
    TEXT: ("temperature", "max_tokens", "stream", *_MATTER_ALWAYS),
    JSON: ("temperature", "schema", *_MATTER_ALWAYS),
    IMAGE: ("temperature", "size", *_MATTER_ALWAYS),
}


def payload_schema(operation: str) -> dict[str, Any]:
    """Return the JSON Schema of a payload: the parameters that matter to the operation. Others are allowed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Sandbox {operation}",
        "type": "object",
        "properties": {
            "model": {"type": "string", "minLength": 1},
            "prompt": {"type": "string", "minLength": 1},
            "parameters": {"type": "object", "properties": {name: PARAMETERS[name] for name in _MATTER[operation]}},
            "attachments": {"type": "array", "items": {"type": "string"}, "maxItems": 32},
        },
        "required": ["model", "prompt", "parameters"],
        "additionalProperties": False,
    }
