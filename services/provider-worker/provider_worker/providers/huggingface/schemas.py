"""The JSON Schemas of what is sent to HuggingFace, and the names of what can be asked. Holds data and builds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT, JSON, IMAGE, CLASSIFICATION = "text", "json", "image", "classification"
OPERATIONS = (TEXT, JSON, IMAGE, CLASSIFICATION)
CHATS = (TEXT, JSON)

MODEL_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?$"
"""A model on the Hub, with its owner or without. It becomes part of an address, so it can be nothing else."""

_PENALTY = {"type": "number", "minimum": -2, "maximum": 2}
_CHAT: dict[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "role": {"type": "string", "enum": ["system", "user", "assistant", "tool"]},
                "content": {"type": ["string", "array", "null"]},
            },
            "required": ["role"],
        },
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "max_tokens": {"type": "integer", "minimum": 1},
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "seed": {"type": "integer", "minimum": 0},
    "stop": {"type": "array", "items": {"type": "string"}, "maxItems": 4},
    "response_format": {"type": "object"},
    "logprobs": {"type": "boolean"},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 5},
    "tools": {"type": "array"},
    "tool_choice": {"type": ["string", "object"]},
    "tool_prompt": {"type": "string"},
    "n": {"type": "integer", "const": 1},
    "stream": {"type": "boolean", "const": False},
}
_DRAWING: dict[str, Any] = {
    "negative_prompt": {"type": "string"},
    "width": {"type": "integer", "minimum": 1},
    "height": {"type": "integer", "minimum": 1},
    "num_inference_steps": {"type": "integer", "minimum": 1},
    "guidance_scale": {"type": "number"},
    "scheduler": {"type": "string"},
    "seed": {"type": "integer"},
}
_CLASSIFYING: dict[str, Any] = {
    "candidate_labels": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    "multi_label": {"type": "boolean"},
    "hypothesis_template": {"type": "string", "pattern": r"\{\}"},
    "top_k": {"type": "integer", "minimum": 1},
    "function_to_apply": {"type": "string", "enum": ["sigmoid", "softmax", "none"]},
}
_TITLES = {IMAGE: "HuggingFace text to image", CLASSIFICATION: "HuggingFace text classification"}


def schema_of(operation: str) -> dict[str, Any]:
    """Return the JSON Schema of a payload. Members it does not know are allowed; a warning names them."""
    members, required = (_CHAT, ["model", "messages"]) if operation in CHATS else (_pipeline(operation), _NEEDED)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLES.get(operation, "HuggingFace chat completion"),
        "type": "object",
        "properties": members,
        "required": required,
    }


_NEEDED = ["model", "inputs"]


def _pipeline(operation: str) -> Mapping[str, Any]:
    parameters = _DRAWING if operation == IMAGE else _CLASSIFYING
    return {
        "model": {"type": "string", "pattern": MODEL_NAME},
        "inputs": {"type": "string", "minLength": 1},
        "parameters": {"type": "object", "properties": parameters},
    }
