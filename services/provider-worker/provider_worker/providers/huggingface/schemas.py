"""The JSON Schemas of HuggingFace's payloads, and the names of its operations. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_worker.providers.chat_completions.payloads import CHATS, chat_schema
from provider_worker.providers.payload_schema import body_schema

IMAGE, CLASSIFICATION = "image", "classification"
OPERATIONS = (*CHATS, IMAGE, CLASSIFICATION)

MODEL_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?$"
"""A model on the Hub, with its owner or without. It becomes part of an address, so it can be nothing else."""

_ROLES = ("system", "user", "assistant", "tool")
_OWN_OF_A_CHAT: Mapping[str, Any] = {
    "seed": {"type": "integer", "minimum": 0},
    "stop": {"type": "array", "items": {"type": "string"}, "maxItems": 4},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 5},
    "tool_prompt": {"type": "string"},
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


def schema_of(operation: str) -> dict[str, Any]:
    """Return the JSON Schema of a payload. Members it does not know are allowed; a warning names them."""
    match operation:
        case "image":
            return _pipeline_schema("HuggingFace text to image", _DRAWING)
        case "classification":
            return _pipeline_schema("HuggingFace text classification", _CLASSIFYING)
        case _:
            return chat_schema("HuggingFace chat completion", _ROLES, _OWN_OF_A_CHAT)


def _pipeline_schema(title: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    members = {
        "model": {"type": "string", "pattern": MODEL_NAME},
        "inputs": {"type": "string", "minLength": 1},
        "parameters": {"type": "object", "properties": parameters},
    }
    return body_schema(title, members, ["model", "inputs"])
