"""The models that the fake Replicate hosts, described as Cog describes them. Data and no more."""

from __future__ import annotations

import hashlib
from typing import Any

_FILE = {"type": "string", "format": "uri"}


def _openapi(inputs: dict[str, Any], required: list[str], output: dict[str, Any], **others: Any) -> dict[str, Any]:
    ordered = {
        name: {"title": name.title(), **field, "x-order": order} for order, (name, field) in enumerate(inputs.items())
    }
    schema = {"type": "object", "title": "Input", "properties": ordered, "required": required}
    components = {"schemas": {"Input": schema, "Output": {"title": "Output", **output}, **others}}
    return {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "paths": {}, "components": components}


PAINTER = _openapi(
    {
        "seed": {"type": "integer", "nullable": True},
        "mask": {**_FILE, "nullable": True, "description": "Where to paint."},
        "image": {**_FILE, "nullable": True, "description": "What to paint over."},
        "prompt": {"type": "string", "description": "What to paint."},
        "negative_prompt": {"type": "string", "default": ""},
        "aspect_ratio": {"allOf": [{"$ref": "#/components/schemas/aspect_ratio"}], "default": "1:1"},
        "num_outputs": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
    },
    ["prompt"],
    {"type": "array", "items": _FILE},
    aspect_ratio={
        "title": "aspect_ratio",
        "description": "An enumeration.",
        "enum": ["1:1", "3:2", "2:3"],
        "type": "string",
    },
)
WRITER = _openapi(
    {
        "system_prompt": {"type": "string", "default": "Be helpful."},
        "prompt": {"type": "string"},
        "max_tokens": {"type": "integer", "minimum": 1, "default": 512},
        "temperature": {"type": "number", "minimum": 0, "maximum": 5, "default": 0.6},
    },
    ["prompt"],
    {
        "type": "array",
        "items": {"type": "string"},
        "x-cog-array-type": "iterator",
        "x-cog-array-display": "concatenate",
    },
)
LISTENER = _openapi(
    {"audio_file": _FILE, "language": {"type": "string", "nullable": True}}, ["audio_file"], {"type": "string"}
)
MIXER = _openapi(
    {"text": {"type": "string"}, "input": {"type": "string"}, "references": {"type": "array", "items": _FILE}},
    ["text"],
    {"type": "object", "properties": {"label": {"type": "string"}, "score": {"type": "number"}}},
)

MODELS: dict[str, tuple[dict[str, Any], bool]] = {
    "acme/painter": (PAINTER, False),
    "acme/writer": (WRITER, True),
    "acme/listener": (LISTENER, False),
    "acme/mixer": (MIXER, False),
}
"""By name: the OpenAPI document of the only version, and whether the model is official."""


def version_of(name: str) -> str:
    """Return the id of a model's version."""
    return hashlib.sha256(name.encode()).hexdigest()
