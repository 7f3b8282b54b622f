"""How much work a JSON Schema makes: an upper bound on the steps of a validator, from the schema and the value alone.

Ten references in ten lines, six deep, are a million visits. The bound is found in polynomial time: each pair of a subschema and
a value is counted once. It depends on nothing but its arguments, so a decision that was made with it is made again alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.schemas.keywords import (
    LISTS,
    MAPS,
    OF_ITEMS,
    OF_MEMBERS,
    ONES,
    REFERENCES,
    UNEVALUATED,
    mapping,
    pattern_of,
    patterns,
    subschemas,
)
from contracts.schemas.pattern_size import places
from contracts.schemas.references import References, is_metaschema
from contracts.schemas.weight import COMPARED, TEXT, Weights, is_large, likeness

MOST_STEPS = 500_000
"""Steps of one validation; a step takes a validator 10 to 100 nanoseconds (measured)."""

MOST_AT_ONE_VALUE = 10_000
"""Steps that a schema may make of one value before it goes into its members: more is refused when it comes in."""

MOST_LISTED = 3_000
"""Steps whose misfits are listed: each takes a validator 20 microseconds and 4 kB (measured)."""

MOST_PAIRS = 25_000
"""Pairs of a subschema and a value that are counted; each takes 4 microseconds (measured)."""

DEEPEST = 600
"""Frames of Python's stack that counting may take: 2 for a subschema of the same value, 5 for one of its members."""

_IN_PLACE_FRAMES, _MEMBER_FRAMES = 2, 5

MOST_PATTERN_BYTES = 16 * 1024 * 1024
LEAST_PATTERN_BYTES = 8 * 1024

_METASCHEMA = 500
_LARGE_NUMBER = 1_000
_LARGE_PAIRS_A_STEP = 10
"""Steps of a metaschema for each value and of arithmetic on an integer beyond 2^53; pairs of these that are compared in a step."""

_NAMES_A_STEP = 16
_TEXT_A_STEP = 2_000
_PLACES_A_STEP = 20
"""Characters that are compared, that are repeated in the list of misfits, and that are held against a pattern, in one step."""

_LONG_TEXT = 64

_IN_PROGRESS = -1
_NUMERIC = frozenset({"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_IN_PLACE = LISTS | ONES | MAPS | REFERENCES


class TooMuchWork(Exception):
    """A schema makes more work than is done for it; the message says why."""


def check_schema(schema: Any) -> None:
    """Raise TooMuchWork if `schema` takes more than MOST_AT_ONE_VALUE steps for a single value, or refers to itself in place."""
    work = _Work(schema, MOST_AT_ONE_VALUE)
    for part in subschemas(schema):
        work.steps(part, None)


def check_steps(schema: Any, value: Any) -> None:
    """Raise TooMuchWork if validating `value` under `schema` may take more than MOST_STEPS steps."""
    _Work(schema, MOST_STEPS).steps(schema, value)


def may_list(schema: Any, value: Any) -> bool:
    """Return whether the misfits of `value` under `schema` can be listed in MOST_LISTED steps."""
    try:
        _Work(schema, MOST_LISTED, listed=True).steps(schema, value)
    except TooMuchWork:
        return False
    return True


def pattern_bytes(schema: Any) -> int:
    """Return the most bytes that each compiled pattern of `schema` may take, so that all of them together are bounded."""
    return max(LEAST_PATTERN_BYTES, MOST_PATTERN_BYTES // max(1, patterns(schema)))


class _Work:
    """Counts steps under one document. With `listed`, values and choices count as often as a misfit repeats them."""

    def __init__(self, document: Any, most: int, *, listed: bool = False) -> None:
        self._document = document
        self._most = most
        self._listed = listed
        self._known: dict[tuple[int, int], int] = {}
        self._marks: dict[tuple[int, int], int] = {}
        self._parts: dict[int, Sequence[Any]] = {}
        self._compared, self._text = Weights(COMPARED), Weights(TEXT)
        self._references: References | None = None

    def steps(self, schema: Any, value: Any, depth: int = 0) -> int:
        """Return the steps of `value` under `schema`. Raises TooMuchWork."""
        if type(schema) is not dict:
            return 1
        key = id(schema), id(value) if self._is_counted_alone(value) else 0
        known = self._known.get(key)
        if known is None:
            if depth > DEEPEST:
                raise TooMuchWork("it leads too deep")
            self._known[key] = _IN_PROGRESS
            known = self._known[key] = self._counted(schema, value, depth)
        elif known == _IN_PROGRESS:
            raise TooMuchWork("it refers to itself without looking further into the value")
        return known

    def _is_counted_alone(self, value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return self._listed or len(value) > _LONG_TEXT
        return kind is dict or kind is list or is_large(value)

    def _counted(self, schema: dict[str, Any], value: Any, depth: int) -> int:
        count = self._own(schema, value)
        for part in self._in_place(schema):
            count += self.steps(part, value, depth + _IN_PLACE_FRAMES)
        if type(value) is dict or type(value) is list:
            count += self._inside(schema, value, depth + _MEMBER_FRAMES)
            if not UNEVALUATED.isdisjoint(schema):
                count += self._marked(schema, value, depth)
        return self._bounded(count)

    def _bounded(self, count: int) -> int:
        if count > self._most or len(self._known) > MOST_PAIRS:
            raise TooMuchWork(f"checking one value may take more than {self._most} steps")
        return count

    def _own(self, schema: dict[str, Any], value: Any) -> int:
        """Return the steps of the keywords that look at `value` as a whole."""
        count, kind = 1, type(value)
        if kind is dict or kind is list:
            for keyword in ("enum", "const", "required", "dependentRequired"):
                if keyword in schema:
                    count += self._compared.of(schema[keyword]) // _NAMES_A_STEP
            if "uniqueItems" in schema and kind is list:
                large = likeness(value)
                count += self._compared.of(value) // _NAMES_A_STEP + large * large // _LARGE_PAIRS_A_STEP
        elif "enum" in schema:
            count += self._compared.choices(schema["enum"]) // _NAMES_A_STEP
        if "pattern" in schema:
            characters = len(value) if kind is str else 0
            count += places(pattern_of(schema)) * max(characters, _LONG_TEXT) // _PLACES_A_STEP
        if is_large(value) and not _NUMERIC.isdisjoint(schema):
            count += _LARGE_NUMBER
        if self._listed:
            repeated = (value, schema.get("enum"), schema.get("const"))
            count += sum([self._text.of(each) for each in repeated]) // _TEXT_A_STEP
        return count

    def _in_place(self, schema: dict[str, Any]) -> Sequence[Any]:
        found = self._parts.get(id(schema))
        if found is None:
            found = self._parts[id(schema)] = [*self._find_in_place(schema)]
        return found

    def _find_in_place(self, schema: dict[str, Any]) -> Iterable[Any]:
        for keyword, said in schema.items():
            if keyword not in _IN_PLACE:
                continue
            if keyword in REFERENCES:
                self._references = self._references or References(self._document)
                yield from self._references.targets(schema, keyword)
            elif keyword in LISTS:
                yield from said if isinstance(said, list) else ()
            elif keyword in ONES:
                yield said
            else:
                yield from mapping(said).values()

    def _inside(self, schema: dict[str, Any], value: Any, depth: int) -> int:
        """Return the steps of the members of `value`, and of a metaschema's for all values in it."""
        count = 0
        for keyword in REFERENCES & schema.keys():
            count += self._compared.of(value) * _METASCHEMA if is_metaschema(schema, keyword) else 0
        if type(value) is list:
            return count + self._items(schema, value, depth)
        named = mapping(schema.get("properties"))
        for name in named.keys() & value.keys():
            count += self.steps(named[name], value[name], depth)
        for pattern, part in mapping(schema.get("patternProperties")).items():
            characters = sum([_LONG_TEXT + len(name) for name in value])
            count += places(pattern) * characters // _PLACES_A_STEP + self._each(part, value.values(), depth)
        for keyword in OF_MEMBERS & schema.keys():
            unnamed = [member for name, member in value.items() if name not in named]
            rest = {"additionalProperties": unnamed, "propertyNames": value}.get(keyword, value.values())
            count += self._each(schema[keyword], rest, depth)
        return count

    def _items(self, schema: dict[str, Any], value: list[Any], depth: int) -> int:
        count, first = 0, 0
        for keyword in ("prefixItems", "items"):
            if isinstance(parts := schema.get(keyword), list):
                first = len(parts)
                count += sum([self.steps(part, item, depth) for part, item in zip(parts, value, strict=False)])
        if isinstance(every := schema.get("items"), dict):
            count += self._each(every, value[first:], depth)
        for keyword in OF_ITEMS & schema.keys():
            count += self._each(schema[keyword], value, depth)
        return count

    def _each(self, schema: Any, values: Iterable[Any], depth: int) -> int:
        """Return the steps of each of `values`. Those that count alike are counted once and multiplied."""
        if type(schema) is not dict:
            return 1
        count, alike = 0, 0
        for value in values:
            if self._is_counted_alone(value):
                count += self.steps(schema, value, depth)
            else:
                alike += 1
        return count + (alike * self.steps(schema, None, depth) if alike else 0)

    def _marked(self, schema: Any, value: Any, depth: int) -> int:
        """Return the steps that find out which members were looked at: every subschema in place is validated again for it."""
        if type(schema) is not dict:
            return 1
        key = id(schema), id(value)
        count = self._marks.get(key)
        if count is None:
            count = 1 + self._inside(schema, value, depth)
            for part in self._in_place(schema):
                count += self.steps(part, value, depth) + self._marked(part, value, depth)
            self._marks[key] = self._bounded(count)
        return count
