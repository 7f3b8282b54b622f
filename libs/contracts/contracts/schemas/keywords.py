"""The keywords of JSON Schema (2020-12, and its forerunners' where they still work) by what they do with subschemas. Data, and a walk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LISTS = frozenset({"allOf", "anyOf", "oneOf"})
ONES = frozenset({"not", "if", "then", "else"})
MAPS = frozenset({"dependentSchemas", "dependencies"})
REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
"""The keywords that look at the same value again."""

OF_MEMBERS = frozenset({"additionalProperties", "unevaluatedProperties", "propertyNames"})
OF_ITEMS = frozenset({"additionalItems", "unevaluatedItems", "contains"})
UNEVALUATED = frozenset({"unevaluatedProperties", "unevaluatedItems"})
"""The keywords that look at the members of a value."""

_ALONE = ONES | OF_MEMBERS | OF_ITEMS
_MANY = LISTS | MAPS | {"properties", "patternProperties", "$defs", "definitions", "prefixItems"}


def subschemas(schema: Any) -> list[dict[str, Any]]:
    """Return every subschema of a document, the whole first. References are not followed."""
    found: list[dict[str, Any]] = []
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        found.append(part)
        for keyword, said in part.items():
            if keyword in _ALONE:
                waiting.append(said)
            elif keyword in _MANY and isinstance(said, dict):
                waiting += said.values()
            elif (keyword in _MANY or keyword == "items") and isinstance(said, list):
                waiting += said
            elif keyword == "items":
                waiting.append(said)
    return found


def has_choices(schema: Any) -> bool:
    """Return whether a document has alternatives, so that one misfit may hold the misfits of all of them."""
    return any("anyOf" in part or "oneOf" in part for part in subschemas(schema))


def patterns(schema: Any) -> int:
    """Return how many regular expressions a document has."""
    return sum(("pattern" in part) + len(mapping(part.get("patternProperties"))) for part in subschemas(schema))


def pattern_of(schema: Mapping[str, Any]) -> str:
    """Return the regular expression of a subschema."""
    said = schema["pattern"]
    return said if isinstance(said, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
