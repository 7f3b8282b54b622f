"""Validation of subjects under schemas that users wrote."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.runs.checkpoints.schema_check import MOST, violations


def test_each_issue_names_its_place() -> None:
    """The path is a JSON Pointer into the subject, escaped."""
    schema = {"properties": {"a/b": {"items": {"type": "integer"}}, "c~": {"const": 1}}}
    found = violations({"a/b": [1, "x"], "c~": 2}, schema)
    assert {issue.path for issue in found} == {"/a~1b/1", "/c~0"}
    assert all(issue.code == "schema" and issue.message for issue in found)


def test_what_fits_has_no_issues_and_no_schema_fits_all() -> None:
    """A subject without a schema is free."""
    assert violations({"a": 1}, {"properties": {"a": {"type": "integer"}}}) == ()
    assert violations({"a": 1}, {}) == ()


def test_only_so_many_issues_are_named() -> None:
    """A hostile subject cannot fill a record with issues."""
    assert len(violations({"a": ["x"] * 1000}, {"properties": {"a": {"items": {"type": "integer"}}}})) == MOST


def test_an_issue_does_not_repeat_a_long_value() -> None:
    """The message is cut, and its beginning is the validator's."""
    (issue,) = violations({"a": "x" * 100_000}, {"properties": {"a": {"type": "integer"}}})
    assert issue.path == "/a"
    assert len(issue.message) <= 500


def test_an_issue_under_a_long_name_points_to_what_encloses_it() -> None:
    """Twenty issues that each repeat a name of a quarter of a megabyte would fit no record."""
    subject = {"a": {"n" * 250_000: {str(number): "x" for number in range(30)}}}
    numbers = {"additionalProperties": {"additionalProperties": {"type": "integer"}}}
    found = violations(subject, {"properties": {"a": numbers}})
    assert [issue.path for issue in found] == ["/a"] * MOST
    assert len(str(found)) < 20_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "banana"},
        {"type": 5},
        {"pattern": "("},
        {"properties": {"a": {"pattern": "(?<=b)c"}}},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$id": "::::"},
        {"properties": 7},
    ],
)
def test_a_schema_that_cannot_be_used_is_an_issue(schema: dict[str, Any]) -> None:
    """Nothing is fetched and nothing raised: the reviewer gets an issue."""
    assert [issue.code for issue in violations({"a": "b"}, schema)] == ["schema_unusable"]


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}])
def test_a_schema_that_refers_to_itself_is_an_issue(schema: dict[str, Any]) -> None:
    """JSON Schema forbids it: it takes no time, and the reviewer reads why the edit is not taken."""
    (issue,) = violations({"a": {"b": 1}}, schema)
    assert (issue.code, "refers to itself" in issue.message) == ("schema_too_costly", True)


@pytest.mark.timeout(5)
def test_a_pattern_costs_no_more_than_its_text() -> None:
    """A pattern that backtracks exponentially elsewhere is linear here."""
    found = violations({"a": "a" * 5_000 + "!"}, {"properties": {"a": {"pattern": "^(a+)+$"}}})
    assert [issue.path for issue in found] == ["/a"]


def multiplied(levels: int) -> dict[str, Any]:
    """Return a schema in which each definition refers ten times to the next; the last asks for a constant."""
    defs: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(levels)}
    leaf = {"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}
    return {"$defs": {**defs, f"d{levels}": leaf}, "$ref": "#/$defs/d0"}


COSTLY: dict[str, tuple[Any, dict[str, Any]]] = {
    "a million alternatives": ({"a": 1}, multiplied(6)),
    "unique integers that hash alike": (
        {"a": [10**20 + n for n in range(5000)]},
        {"properties": {"a": {"uniqueItems": True}}},
    ),
    "a counted pattern": ({"a": "ab" * 50_000}, {"properties": {"a": {"pattern": "a[ab]{1000}x"}}}),
    "five thousand fractions to choose from": (
        {"a": [4999.5] * 3000},
        {"properties": {"a": {"items": {"enum": [None, *(n + 0.5 for n in range(5000))]}}}},
    ),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", COSTLY)
def test_a_schema_that_is_too_much_work_is_an_issue(name: str) -> None:
    """The reviewer reads it; the validator, which would take seconds to minutes, is not asked."""
    (issue,) = violations(*COSTLY[name])
    assert issue.code == "schema_too_costly"
    assert "steps" in issue.message


@pytest.mark.timeout(5)
def test_misfits_that_are_too_many_are_one_issue() -> None:
    """Twenty thousand alternatives did not fit: 370 MB if each were told."""
    (issue,) = violations({"a": 1}, multiplied(4))
    assert (issue.code, issue.path) == ("schema", "")
    assert violations({"kind": "x"}, multiplied(4)) == ()
