"""The input schema of a model on Replicate, as plain JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest

from fake_vendors.replicate.models import PAINTER
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.replicate.models.schemas import input_schema


def test_a_model_s_schema_is_written_out() -> None:
    """References, and OpenAPI's own words, become plain JSON Schema with defaults and descriptions kept."""
    schema = input_schema(PAINTER)
    assert schema is not None
    assert "$ref" not in str(schema)
    ratio = schema["properties"]["aspect_ratio"]
    assert (ratio["enum"], ratio["default"], ratio["type"]) == (["1:1", "3:2", "2:3"], "1:1", "string")
    assert CompiledSchema(schema).is_valid({"prompt": "x", "seed": None})
    assert not CompiledSchema(schema).is_valid({"prompt": "x", "aspect_ratio": "9:9"})


def _input(**properties: Any) -> dict[str, Any]:
    return {"components": {"schemas": {"Input": {"type": "object", "properties": properties}}}}


def test_bounds_are_carried_over() -> None:
    """Exclusive ones in OpenAPI's way too; those beyond what JSON can count are left out."""
    given = {
        "strict": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "loose": {"type": "number", "maximum": 1, "exclusiveMaximum": False},
        "seed": {"type": "integer", "maximum": 10**308},
    }
    schema = input_schema(_input(**given))
    assert schema is not None
    assert schema["properties"] == {
        "strict": {"type": "number", "exclusiveMinimum": 0},
        "loose": {"type": "number", "maximum": 1},
        "seed": {"type": "integer"},
    }


@pytest.mark.parametrize(
    "openapi", [None, {}, {"components": []}, _input() | {"components": {"schemas": {"Input": 7}}}]
)
def test_a_version_without_a_schema_has_none(openapi: Any) -> None:
    """With any value in its place."""
    assert input_schema(openapi) is None


def test_a_hostile_schema_stays_small() -> None:
    """References in circles, and those that double at each level, end somewhere."""
    circle = _input(a={"$ref": "#/components/schemas/Input"})
    assert input_schema(circle) is not None
    bomb = _input(a={"$ref": "#/components/schemas/B0"})
    for level in range(12):
        both = {"$ref": f"#/components/schemas/B{level + 1}"}
        bomb["components"]["schemas"][f"B{level}"] = {"properties": {str(n): both for n in range(9)}}
    assert len(str(input_schema(bomb))) < 100_000
