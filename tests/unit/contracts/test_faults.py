"""What does not validate is told in words of our own, at its place, once."""

from __future__ import annotations

import json
import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from contracts.json_values import JsonObject
from contracts.message import Identifier, Sha256, StoredIdentifier
from contracts.validation.faults import Fault, explain, faults_of
from contracts.validation.names import nearest


class Colour(StrEnum):
    """A list of names."""

    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    """A member with members, of which one has another name outside."""

    colour: Colour | None = None
    given_back: bool = Field(default=False, alias="return")


class Whole(BaseModel):
    """Members of each kind."""

    roles: Annotated[tuple[Colour, ...], Field(min_length=1, max_length=2)] | None = None
    parts: Annotated[tuple[Part, ...], Field(min_length=1)] | None = None
    named: dict[str, Part] = Field({}, max_length=1)
    either: Part | UUID | None = None
    facts: JsonObject = {}
    name: Identifier | None = None
    stored: StoredIdentifier | None = None
    sha256: Sha256 | None = None
    code: Annotated[str, Field(pattern="^[a-z]+$", min_length=2)] = "ab"
    kind: Literal["one"] = "one"
    count: Annotated[int, Field(ge=1, lt=10)] = 1
    share: Annotated[float, Field(gt=0.0, le=1.5, allow_inf_nan=False)] = 1
    on: bool = True
    at: AwareDatetime | None = None
    since: Annotated[datetime, Field(ge=datetime(2000, 1, 1))] | None = None  # noqa: DTZ001 - any bound will do
    id: UUID | None = None


class Needed(BaseModel):
    """A member that must be there."""

    subject: str


def faults(body: Any, model: type[BaseModel] = Whole, *, kind: Any = None) -> list[Fault]:
    """Return what is wrong with a body, as the doors read it."""
    with pytest.raises(ValidationError) as found:
        model.model_validate_json(json.dumps(body), strict=True, extra="forbid")
    return faults_of(found.value, kind)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"roles": []}, "too_short", "must have at least 1 item, and has 0"),
        ({"roles": ["red"] * 3}, "too_long", "must have at most 2 items, and has 3"),
        ({"named": {"a": {}, "b": {}}}, "too_long", "must have at most 1 member"),
        ({"roles": ["green"]}, "enum", "must be 'red' or 'blue'"),
        ({"roles": "red"}, "tuple_type", "must be a list"),
        ({"kind": "two"}, "literal_error", "must be 'one'"),
        ({"parts": [5]}, "model_type", "must be an object"),
        ({"named": []}, "dict_type", "must be an object"),
        ({"name": ""}, "string_too_short", "must have at least 1 character"),
        ({"name": "x" * 201}, "string_too_long", "must have at most 200 characters"),
        ({"code": "a"}, "string_too_short", "must have at least 2 characters"),
        ({"code": "AB"}, "string_pattern_mismatch", "does not match the pattern ^[a-z]+$"),
        ({"stored": "a\n"}, "string_pattern_mismatch", "must have no control characters"),
        (
            {"name": "a\u202eb"},
            "string_pattern_mismatch",
            "must have no characters that are unseen, or that turn the direction of a text",
        ),
        ({"sha256": "ABC"}, "string_pattern_mismatch", "must be 64 hexadecimal digits in lower case"),
        ({"name": 5}, "string_type", "must be a string"),
        ({"count": "5"}, "int_type", "must be a whole number"),
        ({"count": 1.5}, "int_type", "must be a whole number"),
        ({"count": 0}, "greater_than_equal", "must be at least 1"),
        ({"count": 10}, "less_than", "must be less than 10"),
        ({"share": 0}, "greater_than", "must be greater than 0"),
        ({"share": 2}, "less_than_equal", "must be at most 1.5"),
        ({"share": "1"}, "float_type", "must be a number"),
        ({"on": 1}, "bool_type", "must be true or false"),
        ({"id": "x"}, "uuid_parsing", "must be a UUID"),
        ({"at": "2030-01-01"}, "datetime_parsing", None),
        ({"at": 5}, "datetime_type", None),
        ({"at": "2030-01-01T00:00:00"}, "timezone_aware", None),
        ({"since": "1990-01-01T00:00:00"}, "greater_than_equal", "must be at least 2000-01-01T00:00:00"),
        ({"unlike_any": 1}, "extra_forbidden", "no such name"),
    ],
    ids=json.dumps,
)
def test_what_is_wrong_is_told_in_words_of_our_own(body: dict[str, Any], code: str, message: str | None) -> None:
    """Short, with the numbers and the values that are allowed, and without types of Python."""
    (fault,) = faults(body)
    time = "must be a date and time with its zone, such as 2026-03-02T12:00:00Z"
    assert (fault.code, fault.message) == (code, message or time)


def test_what_is_missing_is_told_so() -> None:
    """At the place where it should be."""
    assert [(each.path, *each[2:]) for each in faults({}, Needed)] == [("/subject", "missing", "is missing")]


def test_a_list_is_not_told_to_be_short_of_items_that_were_refused() -> None:
    """To Pydantic it is: that would be a second issue of one mistake."""
    assert [each.path for each in faults({"roles": ["green"]})] == ["/roles/0"]
    assert [each.path for each in faults({"parts": [{"colour": "green"}, {"odd": 1}]})] == [
        "/parts/0/colour",
        "/parts/1/odd",
    ]


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"role": ["red"]}, "`roles`"),
        ({"Roles": ["red"]}, "`roles`"),
        ({"parts": [{"color": "red"}]}, "`colour`"),
        ({"parts": [{"returned": True}]}, "`return`"),
        ({"named": {"x": {"colours": "red"}}}, "`colour`"),
        ({"either": {"coulour": "red"}}, "`colour`"),
    ],
    ids=json.dumps,
)
def test_an_unknown_name_is_told_the_nearest_known_one(body: dict[str, Any], meant: str) -> None:
    """Of the members of the value that it stands in, by the names that they have outside."""
    found = faults(body, kind=Whole)
    assert f"no such name; did you mean {meant}?" in [each.message for each in found]


def test_a_name_is_near_by_its_spelling_or_by_its_words() -> None:
    """A name that is longer than any is compared with none: that would take long."""
    known = ("approvals_required", "due_seconds", "start_by_seconds")
    assert nearest("aprovals_required", known) == ["approvals_required"]
    assert nearest("seconds", known) == ["due_seconds", "start_by_seconds"]
    assert nearest("x" * 101, ["x" * 100]) == []


def test_many_unknown_names_are_all_told() -> None:
    """The first of them with what was meant."""
    found = faults({f"role{at}": 1 for at in range(100)}, kind=Whole)
    assert len(found) == 100
    assert sum("did you mean `roles`?" in each.message for each in found) == 10


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"count": "x"}, "/count: must be a whole number"),
        ({"facts": {"a/b": [math.nan]}}, "/facts/a~1b/0: NaN and infinities are not JSON"),
        ({"facts": {"": math.nan}}, "/facts/: NaN and infinities are not JSON"),
    ],
)
def test_an_error_is_explained_in_one_line_with_its_place(body: dict[str, Any], line: str) -> None:
    """The place inside a free-form value is part of it, and nothing that was sent is repeated but names."""
    with pytest.raises(ValidationError) as found:
        Whole.model_validate(body)
    assert explain(found.value) == line


def test_an_error_under_a_setting_is_explained_with_the_settings_place() -> None:
    """The reader sees one path."""
    with pytest.raises(ValidationError) as found:
        Whole.model_validate({"counts": 1}, extra="forbid")
    assert explain(found.value, "/pii", Whole) == "/pii/counts: no such name; did you mean `count`?"


def test_an_error_of_the_whole_has_no_place() -> None:
    """The pointer to the whole document is empty."""
    with pytest.raises(ValidationError) as found:
        Whole.model_validate_json(b"{")
    assert explain(found.value).startswith("Invalid JSON")
