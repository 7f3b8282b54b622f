"""Merge patches as RFC 7396 defines them, and complete diffs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given

from contracts.json_values import digest
from orchestrator.runs.checkpoints.json_patch import diff, merge_patch
from testkit.messages.strategies import json_objects, json_values

RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""Appendix A of the RFC."""


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_a_merge_patch_does_what_the_rfc_says(target: Any, patch: Any, result: Any) -> None:
    """RFC 7396, appendix A, case by case."""
    assert merge_patch(target, patch) == result


def test_nulls_within_an_array_are_values() -> None:
    """RFC 7396: an array replaces an array as it is, and only members of objects are removed by null."""
    assert merge_patch({"a": [1]}, {"a": [None, {"b": None}]}) == {"a": [None, {"b": None}]}


@given(target=json_objects, patch=json_objects)
def test_a_merge_patch_leaves_what_it_was_given_alone(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """The subject before the edit is still needed for the diff; and patching twice is patching once."""
    before = digest([target, patch])
    merged = merge_patch(target, patch)
    assert digest([target, patch]) == before
    assert digest(merge_patch(merged, patch)) == digest(merged)


@given(before=json_values, after=json_values)
@example(before=[1], after=[True])
@example(before={"a": [0, {"b": 1}]}, after={"a": [False, {"b": 1}]})
@example(before=1, after=1.0)
def test_a_diff_is_empty_exactly_when_the_bytes_are_the_same(before: Any, after: Any) -> None:
    """The diff holds exactly the changes that change the digest."""
    assert (diff(before, after) == ()) == (digest(before) == digest(after))


@given(before=json_objects, after=json_objects)
def test_a_diff_names_places_that_lead_to_what_it_says(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Each path is a JSON Pointer (RFC 6901) into the value before, the value after, or both."""
    for change in diff(before, after):
        assert digest([_at(before, change.path)]) == digest([change.before])
        assert digest([_at(after, change.path)]) == digest([change.after])


def test_names_with_slashes_and_tildes_are_escaped() -> None:
    """RFC 6901: `~` is `~0` and `/` is `~1`."""
    assert [change.path for change in diff({"a/b": {"~c": 1}}, {})] == ["/a~1b"]
    assert [change.path for change in diff({"a/b": {"~c": 1}}, {"a/b": {"~c": 2}})] == ["/a~1b/~0c"]


def test_what_lies_under_a_very_long_name_counts_as_one_value() -> None:
    """Each change repeats its path: thousands of paths of a quarter of a megabyte do not fit into memory."""
    before, after = ({"n" * 200_000: dict.fromkeys(map(str, range(5_000)), value)} for value in (1, 2))
    (change,) = diff(before, after)
    assert change.after == next(iter(after.values()))


def _at(value: Any, path: str) -> Any:
    for name in path.split("/")[1:]:
        value = value.get(name.replace("~1", "/").replace("~0", "~"))
    return value


def test_a_change_of_very_many_members_is_told_as_one() -> None:
    """Each change repeats its path: fifty thousand below a long name were fifty times the subject."""
    before = {"n" * 900: {str(number): 0 for number in range(50_000)}, "same": 1}
    after = {"n" * 900: {str(number): 1 for number in range(50_000)}, "same": 1}
    (change,) = diff(before, after)
    assert (change.path, change.before, change.after) == ("", before, after)
