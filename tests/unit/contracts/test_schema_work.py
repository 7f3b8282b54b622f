"""The bound on the work of JSON Schemas from outside."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from contracts.schemas.pattern_size import LARGEST, places
from contracts.schemas.references import UnknownReference
from contracts.schemas.work import MOST_STEPS, TooMuchWork, check_schema, check_steps, may_list, pattern_bytes

LEAF = {"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}


def multiplied(keyword: str, levels: int, wide: int = 10, **beside: Any) -> dict[str, Any]:
    """Return a schema of few bytes: each of `levels` definitions refers `wide` times to the next."""
    defs: dict[str, Any] = {
        f"d{level}": {keyword: [{"$ref": f"#/$defs/d{level + 1}"}] * wide, **beside} for level in range(levels)
    }
    return {"$defs": {**defs, f"d{levels}": LEAF}, "$ref": "#/$defs/d0"}


def nested(levels: int) -> dict[str, Any]:
    """Return an object in an object."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"c": value}
    return value


BRANCHES = [{"properties": {"c": {"$ref": "#"}}, "required": [name]} for name in "ab"]
CHAIN = {"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(2000)} | {"d2000": LEAF}, "$ref": "#/$defs/d0"}

AT_ONE_VALUE: dict[str, Any] = {
    **{keyword: multiplied(keyword, 6) for keyword in ("anyOf", "allOf", "oneOf")},
    "if, then and else": {
        "$defs": {
            **{
                f"d{n}": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in ("if", "then", "else", "not")} for n in range(9)
            },
            "d9": LEAF,
        },
        "$ref": "#/$defs/d0",
    },
    "dependent schemas": {
        "$defs": {
            **{
                f"d{n}": {"dependentSchemas": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "abcdefghij"}}
                for n in range(6)
            },
            "d6": LEAF,
        },
        "$ref": "#/$defs/d0",
    },
    "anchors": {
        "$defs": {f"d{n}": {"$anchor": f"a{n}", "anyOf": [{"$ref": f"#a{n + 1}"}] * 10} for n in range(6)}
        | {"d6": {"$anchor": "a6"}},
        "$ref": "#a0",
    },
    "addresses": {
        "$id": "https://example.com/root",
        "$defs": {f"d{n}": {"$id": f"/s{n}", "anyOf": [{"$ref": f"s{n + 1}"}] * 10} for n in range(6)}
        | {"d6": {"$id": "/s6"}},
        "$ref": "s0",
    },
    "dynamic references": {
        "$defs": {f"d{n}": {"$dynamicAnchor": f"a{n}", "anyOf": [{"$dynamicRef": f"#a{n + 1}"}] * 10} for n in range(6)}
        | {"d6": {"$dynamicAnchor": "a6"}},
        "$dynamicRef": "#a0",
    },
    "itself": {"$ref": "#"},
    "itself, round a corner": {"$defs": {"a": {"not": {"$ref": "#"}}}, "anyOf": [{"$ref": "#/$defs/a"}]},
    "2,000 references in a row": CHAIN,
    "choices of many kinds": {"enum": [None, *(number + 0.5 for number in range(5000))]},
}
"""Schemas that are too much work whatever the value is."""


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", AT_ONE_VALUE)
def test_a_schema_that_multiplies_work_is_refused_when_it_comes_in(name: str) -> None:
    """It is refused without a value, in time that grows with its length alone."""
    with pytest.raises(TooMuchWork):
        check_schema(AT_ONE_VALUE[name])


WITH_A_VALUE: dict[str, tuple[Any, Any]] = {
    "two ways at each level": ({"anyOf": BRANCHES}, nested(30)),
    "unevaluated members, ten deep": (multiplied("anyOf", 10, 2, unevaluatedProperties=False), {"a": 1}),
    "unique integers that hash alike": ({"uniqueItems": True}, [10**20 + number for number in range(5000)]),
    "unique objects with such integers": ({"uniqueItems": True}, [{"a": 10**20 + number} for number in range(5000)]),
    "large choices for many objects": (
        {"items": {"enum": [{"a": [*range(20), number]} for number in range(1000)]}},
        [{"a": [*range(20), 999]}] * 1000,
    ),
    "a counted pattern on a long text": ({"pattern": "a[ab]{1000}x"}, "ab" * 50_000),
    "a counted pattern on many names": (
        {"patternProperties": {"a[ab]{900}x": True}},
        dict.fromkeys(map(str, range(500))),
    ),
    "a pattern for long names": ({"propertyNames": {"pattern": "a[ab]{1000}x"}}, {"ab" * 50_000: 1}),
    "arithmetic on huge integers": ({"items": {"multipleOf": 0.1}}, [10**300 + number for number in range(3000)]),
    "two hundred subschemas of ten thousand objects": (
        {"items": {"allOf": [{"type": "object", "title": str(number)} for number in range(200)]}},
        [{"a": number} for number in range(10_000)],
    ),
    "a metaschema for a large value": (
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"a": list(range(2000))},
    ),
}
"""Schemas that are too much work for these values."""


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", WITH_A_VALUE)
def test_a_value_that_multiplies_work_is_not_validated(name: str) -> None:
    """The bound is found in bounded time, and is the same for equal values, so that a decision is made again alike."""
    said = []
    for schema, value in (WITH_A_VALUE[name], copy.deepcopy(WITH_A_VALUE[name])):
        with pytest.raises(TooMuchWork) as raised:
            check_steps(schema, value)
        said.append(str(raised.value))
    assert said[0] == said[1]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": r"^[\w .'-]+$"},
        "kind": {"enum": ["person", "robot", None]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "uniqueItems": True},
        "child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["name"],
    "unevaluatedProperties": False,
    "$defs": {"part": {"oneOf": [{"type": "string"}, {"type": "integer", "maximum": 2**64}]}},
}
ORDINARY: dict[str, tuple[Any, Any]] = {
    "a person": (PERSON, {"name": "Anna", "kind": None, "parts": ["a", 2**60], "child": {"name": "Bo", "child": None}}),
    "twenty generations": (
        {"type": "object", "properties": {"c": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
        nested(30),
    ),
    "a long list of numbers": ({"items": {"type": "number", "multipleOf": 0.5}}, list(range(50_000))),
    "a long list of objects": (
        {"items": {"$id": "urn:example:person", **PERSON}},
        [{"name": f"n{number}"} for number in range(1_000)],
    ),
    "identifiers beyond 2^53": ({"uniqueItems": True}, [2**60 + number for number in range(1_000)]),
    "many choices": ({"items": {"enum": [f"country {n}" for n in range(300)]}}, ["country 7"] * 1_000),
    "a long text with a pattern": ({"pattern": r"^[^\x00]*$"}, "word " * 40_000),
    "true": (True, {"a": 1}),
    "false": (False, {"a": 1}),
}
"""What people and models send."""


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_schemas_are_far_from_the_bound(name: str) -> None:
    """They are checked as ever."""
    schema, value = ORDINARY[name]
    check_schema(schema)
    check_steps(schema, value)


def test_misfits_are_listed_where_they_are_few() -> None:
    """A validator makes every misfit at once, each with all that led to it."""
    assert may_list(*ORDINARY["a person"])
    assert not may_list(multiplied("anyOf", 4), {"a": 1})
    assert not may_list({"items": {"enum": ["x" * 300] * 300}}, [1] * 300)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"$ref": "#nowhere"},
        {"$ref": "https://example.com/s"},
        {"$ref": "file:///etc/passwd"},
        {"$dynamicRef": "#nowhere"},
        {"$id": "https://example.com/a", "$ref": "b"},
    ],
)
def test_a_reference_out_of_the_schema_is_not_followed(schema: Any) -> None:
    """What is not counted is not validated: nothing is fetched."""
    with pytest.raises(UnknownReference):
        check_steps(schema, {})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^[a-z]+$", 2),
        (r"^\p{L}{1,50}$", 51),
        (r"a[^\]x]{3}\{", 6),
        ("(a{10}|b{20}){3}", 91),
        ("(?:ab){2,}", 5),
        ("(((a{100}){100}){100}){100}", LARGEST),
        ("x{99999999999}", LARGEST),
        (")(", 1),
        ("", 1),
    ],
)
def test_counted_repetitions_are_written_out(pattern: str, expected: int) -> None:
    """A matcher may stand at each of these places, for each character of a text."""
    assert places(pattern) == expected


def test_all_patterns_of_a_schema_share_one_bound_of_memory() -> None:
    """A thousand patterns take no more than a few."""
    many = {"allOf": [{"pattern": "a"}] * 500, "properties": {"a": {"patternProperties": {"x": True}}}}
    assert pattern_bytes(many) * 501 <= pattern_bytes({}) == pattern_bytes({"pattern": "a"})


def test_the_bound_is_an_error_and_not_a_number() -> None:
    """Sums that have no end in practice are not counted out."""
    with pytest.raises(TooMuchWork, match=str(MOST_STEPS)):
        check_steps(multiplied("allOf", 60), {})
