"""Payloads are checked against JSON Schema, and what needs no judgement can be mended."""

from __future__ import annotations

import time
from typing import Any

import pytest

from contracts.json_pointer import pointer
from contracts.providers.call import Severity
from provider_worker.providers.answers.content import ENDED, Asked, content_of
from provider_worker.providers.answers.said import Said
from provider_worker.providers.anthropic.provider import AnthropicProvider
from provider_worker.providers.base import AIProvider
from provider_worker.providers.huggingface.provider import HuggingFaceProvider
from provider_worker.providers.openai.provider import OpenAIProvider
from provider_worker.providers.payload_schema import (
    MAX_ISSUES,
    CompiledSchema,
    PayloadSchema,
    SchemaTooCostly,
    UnusableSchema,
    costly_schemas,
    mend,
    merge_patch,
    unknown_members,
)
from provider_worker.providers.sandbox.provider import SandboxProvider

SCHEMA = PayloadSchema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "inner": {
                "type": "object",
                "properties": {
                    "warmth": {"type": "number", "minimum": 0, "maximum": 2},
                    "count": {"type": "integer", "minimum": 1},
                    "loud": {"type": "boolean"},
                    "size": {"type": "string", "enum": ["small", "large"]},
                    "stream": {"type": "boolean", "const": False},
                    "kind": {"type": "string", "default": "plain"},
                },
                "required": ["kind"],
            },
            "list": {"type": "array", "items": {"type": "integer", "maximum": 5}},
        },
        "required": ["name"],
    }
)


def _payload(**inner: Any) -> dict[str, Any]:
    return {"name": "x", "inner": {"kind": "plain", **inner}}


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ({"warmth": 9}, {"warmth": 2}),
        ({"warmth": -1}, {"warmth": 0}),
        ({"warmth": "0.5"}, {"warmth": 0.5}),
        ({"warmth": "9"}, {"warmth": 2}),
        ({"count": "3"}, {"count": 3}),
        ({"count": 0}, {"count": 1}),
        ({"loud": "True"}, {"loud": True}),
        ({"size": "LARGE "}, {"size": "large"}),
        ({"stream": True}, {"stream": False}),
    ],
)
def test_what_was_surely_meant_is_suggested_and_fixes_the_payload(
    given: dict[str, Any], mended: dict[str, Any]
) -> None:
    """The fix is a merge patch on the whole payload, after which nothing is wrong."""
    (issue,) = SCHEMA.issues(_payload(**given))
    assert issue.auto_fixable
    assert issue.suggested_fix == {"inner": mended}
    assert issue.path == f"/inner/{next(iter(given))}"
    assert SCHEMA.issues(_payload(**mended)) == []


@pytest.mark.parametrize(
    "given", [{"warmth": "warm"}, {"count": 1.5}, {"loud": "yes"}, {"size": "medium"}, {"kind": 7}, {"warmth": "nan"}]
)
def test_what_needs_judgement_is_left_to_a_person(given: dict[str, Any]) -> None:
    """No fix is better than a guess."""
    (issue,) = SCHEMA.issues(_payload(**given))
    assert issue.severity is Severity.ERROR
    assert not issue.auto_fixable
    assert issue.suggested_fix is None


def test_a_missing_member_with_a_default_is_filled_in() -> None:
    """The path names the member that is missing, not the object around it."""
    issues = {issue.path: issue for issue in SCHEMA.issues({"inner": {}})}
    assert issues["/inner/kind"].suggested_fix == {"inner": {"kind": "plain"}}
    assert not issues["/name"].auto_fixable


def test_inside_an_array_nothing_is_mended() -> None:
    """A merge patch cannot reach an array's items."""
    (issue,) = SCHEMA.issues({"name": "x", "list": [1, 9]})
    assert issue.path == "/list/1"
    assert issue.suggested_fix is None


def test_a_hostile_payload_gets_a_bounded_number_of_issues() -> None:
    """A hundred thousand mistakes do not fill a record."""
    issues = SCHEMA.issues({"name": "x", "list": [9] * 100_000})
    assert len(issues) == MAX_ISSUES
    (late,) = SCHEMA.issues({"name": "x", "list": [*[1] * 100_000, 9]})
    assert late.path == "/list/100000"


def test_an_issue_does_not_repeat_a_huge_value() -> None:
    """Messages stay short for any payload."""
    (issue,) = SCHEMA.issues(_payload(size="y" * 100_000))
    assert len(issue.message) < 500


def test_patterns_run_in_linear_time() -> None:
    """A pattern that would take a backtracking engine years is answered, and look-around is not accepted."""
    before = time.process_time()
    assert not CompiledSchema({"pattern": "^(a+)+$"}).is_valid("a" * 50_000 + "b")
    assert time.process_time() - before < 10
    with pytest.raises(UnusableSchema):
        CompiledSchema({"pattern": "(?=a)b"})


@pytest.mark.parametrize(
    "schema", [{"$ref": "https://example.com/s"}, {"$ref": "file:///etc/passwd"}, {"type": "thing"}, [], "x", None]
)
def test_a_schema_that_is_none_or_refers_elsewhere_is_refused(schema: Any) -> None:
    """Nothing is ever fetched."""
    with pytest.raises(UnusableSchema):
        CompiledSchema(schema)


def test_a_payload_s_schema_that_no_event_could_hold_is_refused_when_it_is_made() -> None:
    """It is checked once, and not with every payload."""
    with pytest.raises(ValueError, match="/properties/n/maximum"):
        PayloadSchema({"type": "object", "properties": {"n": {"maximum": 10**308}}})


def test_a_schema_that_refers_to_itself_without_end_is_refused() -> None:
    """JSON Schema forbids it, and it neither hangs nor ends the process."""
    with pytest.raises(SchemaTooCostly, match="refers to itself"):
        CompiledSchema({"allOf": [{"$ref": "#"}, {"$ref": "#"}]})


def test_a_misspelt_parameter_is_a_warning_with_the_likely_name() -> None:
    """It does not stop the call, and the fix moves the value; a person decides."""
    (issue,) = unknown_members({"temprature": 1}, ["temperature"], ["parameters"], "it is ignored")
    assert issue.severity is Severity.WARNING
    assert issue.path == "/parameters/temprature"
    assert issue.suggested_fix == {"parameters": {"temprature": None, "temperature": 1}}
    assert not issue.auto_fixable


def test_pointers_escape_what_json_pointer_reserves() -> None:
    """RFC 6901."""
    assert pointer(["a/b", "c~d", 0]) == "/a~1b/c~0d/0"


def test_a_merge_patch_reaches_through_objects_only() -> None:
    """RFC 7396 replaces arrays whole."""
    assert merge_patch(["a", "b"], None) == {"a": {"b": None}}
    assert merge_patch(["a", 0], 1) is None


def multiplied(levels: int, keyword: str = "anyOf") -> dict[str, Any]:
    """Return a schema in which each definition refers ten times to the next."""
    defs: dict[str, Any] = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(levels)}
    leaf = {"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}
    return {"$defs": {**defs, f"d{levels}": leaf}, "$ref": "#/$defs/d0"}


PLACES: dict[str, tuple[type[AIProvider], list[str | int]]] = {
    "sandbox": (SandboxProvider, ["parameters", "schema"]),
    "openai": (OpenAIProvider, ["text", "format", "schema"]),
    "openai, chat": (OpenAIProvider, ["response_format", "json_schema", "schema"]),
    "anthropic": (AnthropicProvider, ["tools", 0, "input_schema"]),
    "anthropic, by format": (AnthropicProvider, ["output_config", "format", "schema"]),
    "huggingface": (HuggingFaceProvider, ["response_format", "json_schema", "schema"]),
    "huggingface, by grammar": (HuggingFaceProvider, ["response_format", "value"]),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", PLACES)
def test_a_costly_schema_is_an_issue_of_the_payload_that_asks_for_it(name: str) -> None:
    """The person reads it before the call is paid: no answer could be checked, and no edit."""
    provider, place = PLACES[name]
    payload: Any = multiplied(6)
    for step in reversed(place):
        payload = [payload] if isinstance(step, int) else {step: payload}
    (issue,) = costly_schemas(payload, provider.asks_at)
    assert (issue.code, issue.severity) == ("schema_too_costly", Severity.ERROR)
    assert issue.path == pointer(place)


@pytest.mark.timeout(5)
def test_an_answer_is_held_against_a_costly_schema_in_bounded_time() -> None:
    """What cannot be checked counts as what does not fit, so that a threshold stops it."""
    wide = {"properties": {"c": {"anyOf": [{"$ref": "#"}, {"$ref": "#", "title": "again"}]}}}
    value: dict[str, Any] = {}
    for _ in range(30):
        value = {"c": value}
    for asked in (multiplied(6), wide):
        content = content_of(Said(value=value), ENDED, Asked(as_json=True, schema=asked))
        assert (content.response, content.quality) == ({"json": value}, 0.2)


@pytest.mark.timeout(5)
def test_a_payload_with_misfits_beyond_number_gets_one_issue() -> None:
    """Ten thousand alternatives are not told one by one."""
    (issue,) = PayloadSchema(multiplied(3, "oneOf") | {"maxProperties": 0}).issues(
        {str(n): "x" * 5000 for n in range(500)}
    )
    assert issue.code == "schema_misfit"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1497549923779084388", 1497549923779084388),
        ("1e3", 1000),
        ("-7.0", -7),
        ("0.5", 0.5),
        ("1e400", None),
        ("nan", None),
    ],
)
def test_a_number_in_a_text_is_mended_with_all_its_digits(text: str, number: float | None) -> None:
    """The fix that is offered, or made without a person, is the number that was meant."""
    assert mend(text, {"type": "number"}) == number
