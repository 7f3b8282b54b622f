"""From the OpenAPI document of a model's version to the JSON Schema of a payload. Trusts nothing in the document: strangers write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.json_values import MAX_INTEGER
from provider_worker.providers.payload_schema import at, body_schema
from provider_worker.providers.replicate.models.model_names import Reference

ANY_INPUT: dict[str, Any] = {"type": "object"}
"""The input of a version whose schema is not known."""

_DEEPEST = 12
_MOST_SCHEMAS = 2000
_COMPONENTS = "#/components/schemas/"
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def input_schema(openapi: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of a version's input, without references, or None where the document has none."""
    components = at(openapi, ["components", "schemas"])
    found = _SchemaWriter(components).schema(at(components, ["Input"]))
    return found if isinstance(found, dict) and isinstance(found.get("properties"), dict) else None


def speaks_in_pieces(openapi: Any) -> bool:
    """Return whether the output is one text that comes as a list of its pieces."""
    return bool(at(openapi, ["components", "schemas", "Output", "x-cog-array-display"]) == "concatenate")


def payload_schema(reference: Reference, inputs: dict[str, Any], *, official: bool) -> dict[str, Any]:
    """Return the JSON Schema of the payloads for one version, or for an official model, which has none that one names."""
    names = "model" if official else "version"
    # Another version has another schema: that is another run, not an edit of this payload.
    return _document({names: {"type": "string", "const": str(reference)}, "input": inputs}, [names, "input"])


def any_payload_schema() -> dict[str, Any]:
    """Return the JSON Schema of the payloads for all models."""
    text = {"type": "string", "minLength": 1}
    document = _document({"version": text, "model": text, "input": ANY_INPUT}, ["input"])
    return {**document, "oneOf": [{"required": ["version"]}, {"required": ["model"]}]}


def _document(members: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {**body_schema("Replicate prediction", members, required), "additionalProperties": False}


class _SchemaWriter:
    """Writes out the references of OpenAPI 3.0 schemas, in the words of JSON Schema. Stops at a size that no honest document has."""

    def __init__(self, components: Any) -> None:
        self._components = components
        self._left = _MOST_SCHEMAS

    def schema(self, given: Any, level: int = 0) -> dict[str, Any]:
        """Return `given` without references; a part beyond the bounds allows everything."""
        self._left -= 1
        if not isinstance(given, Mapping) or level > _DEEPEST or self._left < 0:
            return {}
        found: dict[str, Any] = {}
        match given.get("$ref"):
            case str(reference) if reference.startswith(_COMPONENTS):
                found |= self.schema(at(self._components, [reference.removeprefix(_COMPONENTS)]), level + 1)
        match given.get("allOf"):
            case [only]:  # how OpenAPI 3.0 writes a default or a description beside a reference
                found |= self.schema(only, level + 1)
        for keyword, value in given.items():
            found |= self._keyword(str(keyword), value, level + 1)
        return _in_json_schema(found)

    def _keyword(self, keyword: str, value: Any, level: int) -> dict[str, Any]:
        match keyword, value:
            case ("$ref", _) | ("allOf", [_]):
                return {}
            case "properties", Mapping():
                return {keyword: {str(name): self.schema(item, level) for name, item in value.items()}}
            case "items" | "additionalProperties" | "not", Mapping():
                return {keyword: self.schema(value, level)}
            case "anyOf" | "oneOf" | "allOf", list():
                return {keyword: [self.schema(item, level) for item in value]}
            case _, int() if abs(value) > MAX_INTEGER:
                return {}  # no such number is taken: the bound bounds nothing
        return {keyword: value}


def _in_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    for exclusive, inclusive in _BOUNDS.items():
        match schema.get(exclusive):
            case True if inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)
            case bool():
                del schema[exclusive]
    if schema.pop("nullable", False) is True:
        if isinstance(kind := schema.get("type"), str):
            schema["type"] = [kind, "null"]
        if isinstance(choices := schema.get("enum"), list) and None not in choices:
            schema["enum"] = [*choices, None]
    return schema
