"""Invents a JSON value that a JSON Schema accepts: the same for the same schema and prompt.

It follows the keywords that describe a value, and lets the validator decide. Schemas that need search (a `pattern` of which it
knows no example, a `not`) raise CannotInvent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from provider_worker.errors import WorkerError
from provider_worker.providers.payload_schema import CompiledSchema, at

MOST_VALUES = 2000
"""Values invented for one schema; more would be a schema that grows without end."""

MOST_LETTERS = 20_000
DEEPEST = 20

_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "jane.doe@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "3b241101-e2bb-4255-8caf-4136c566a962",
}
_EXAMPLES = (
    "a",
    "A",
    "1",
    "abc",
    "ABC",
    "123",
    "12345",
    "A1",
    "AB-123",
    "a@example.com",
    "2026-01-31",
    "#aabbcc",
    "+10000000000",
)


class CannotInvent(WorkerError, ValueError):
    """The schema asks for more than the sandbox can make up."""


def invent(schema: Any, prompt: str) -> Any:
    """Return a value that `schema` accepts. Raises UnusableSchema and CannotInvent."""
    validator = CompiledSchema(schema)
    try:
        value = _Inventor(schema, prompt).value(schema, 0)
    except CannotInvent:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CannotInvent(f"it asks for something odd ({type(error).__name__})") from error
    if not validator.is_valid(value):
        raise CannotInvent("what it made up is not accepted by the schema")
    return value


class _Inventor:
    def __init__(self, root: Any, prompt: str) -> None:
        self._root = root
        self._words = prompt.split() or ["sandbox"]
        self._made = 0

    def value(self, schema: Any, depth: int) -> Any:
        self._count(depth)
        if not isinstance(schema, Mapping):
            return {"prompt": " ".join(self._words), "words": len(self._words)}
        schema = self._flat(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][len(self._words) % len(schema["enum"])]
        return self._by_type(schema, depth)

    def _flat(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Merge references, `allOf` and the first fitting alternative into one set of keywords."""
        self._count(depth)
        flat = {name: keyword for name, keyword in schema.items() if name not in ("$ref", "allOf", "anyOf", "oneOf")}
        parts = list(schema.get("allOf", []))
        if isinstance(schema.get("$ref"), str):
            parts.append(self._referred(schema["$ref"]))
        parts += [schema[name][0] for name in ("anyOf", "oneOf") if schema.get(name)]
        for part in parts:
            if isinstance(part, Mapping):
                flat = _merged(flat, self._flat(part, depth + 1))
        return flat

    def _count(self, depth: int) -> None:
        self._made += 1
        if self._made > MOST_VALUES or depth > DEEPEST:
            raise CannotInvent("it is too large or refers to itself")

    def _referred(self, ref: str) -> Any:
        if ref != "#" and not ref.startswith("#/"):
            raise CannotInvent(f"it refers to {ref[:100]}")
        steps = [step.replace("~1", "/").replace("~0", "~") for step in ref.split("/")[1:]]
        return at(self._root, steps)

    def _by_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kinds = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "string")
        match kinds[0] if isinstance(kinds, list) and kinds else kinds:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number" as kind:
                return _number(schema, len(self._words), whole=kind == "integer")
            case "boolean":
                return len(self._words) % 2 == 0
            case "null":
                return None
            case _:
                return self._string(schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        names = [*properties, *(name for name in schema.get("required", []) if name not in properties)]
        deep = depth > DEEPEST // 2
        needed = schema.get("required", []) if deep else names
        extra = schema.get("additionalProperties", {"type": "string"})
        made = {name: self.value(properties.get(name, extra), depth + 1) for name in needed}
        for number in range(min(_count(schema, "minProperties"), MOST_VALUES) - len(made)):
            made[f"member{number + 1}"] = self.value(extra, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        made = [self.value(item, depth + 1) for item in schema.get("prefixItems", [])]
        items = schema.get("contains", schema.get("items", {"type": "string"}))
        if items is False:
            return made
        least = max(_count(schema, "minItems", 0 if depth > DEEPEST // 2 else 1), _count(schema, "minContains"))
        while len(made) < min(least, MOST_VALUES):
            made.append(self._other(made, items, depth) if schema.get("uniqueItems") else self.value(items, depth + 1))
        return made[: _count(schema, "maxItems", len(made))]

    def _other(self, made: list[Any], items: Any, depth: int) -> Any:
        value = self.value(items, depth + 1)
        match value:
            case str():
                return f"{value}{len(made) + 1}" if value in made else value
            case bool():
                return not value if value in made else value
            case int() | float():
                return value + len(made)
        return value

    def _string(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        least, most = _count(schema, "minLength"), _count(schema, "maxLength", MOST_LETTERS)
        if least > MOST_LETTERS:
            raise CannotInvent("it asks for very long text")
        if "pattern" in schema:
            fits = CompiledSchema(
                {name: schema[name] for name in ("pattern", "minLength", "maxLength") if name in schema}
            )
            for example in (*_EXAMPLES, *self._words):
                if fits.is_valid(example):
                    return example
            raise CannotInvent(f"no example is known for the pattern {schema['pattern'][:100]!r}")
        text = " ".join(self._words)
        while len(text) < least:
            text += " " + text
        return text[: max(least, min(most, 80))] if most else ""


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return merged


def _number(schema: Mapping[str, Any], wish: int, *, whole: bool) -> int | float:
    low = schema.get("minimum", -math.inf)
    high = schema.get("maximum", math.inf)
    step = schema.get("multipleOf", 1 if whole else None)
    if "exclusiveMinimum" in schema:
        low = max(low, schema["exclusiveMinimum"] + (step or _between(schema["exclusiveMinimum"], high)))
    if "exclusiveMaximum" in schema:
        high = min(high, schema["exclusiveMaximum"] - (step or _between(low, schema["exclusiveMaximum"])))
    value = min(max(wish, low), high)
    if step:
        value = -(-value // step) * step  # whole numbers stay exact, which they do not when they are divided
        value = value if value <= high else high // step * step
    return int(value) if whole or float(value).is_integer() else float(value)


def _between(low: float, high: float) -> float:
    return (high - low) / 4 if math.isfinite(high) and math.isfinite(low) and high > low else 0.5


def _count(schema: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = schema.get(name, default)
    return int(value) if isinstance(value, int | float) else default
