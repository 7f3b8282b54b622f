"""JSON that every reader holds alike (RFC 7493), its one canonical form (RFC 8785), and the digest that approvals are bound to."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from contracts.json_values import MAX_DEPTH, MAX_INTEGER, Json, JsonObject, canonical_json, digest
from contracts.validation.faults import explain


class Holder(BaseModel):
    """A model as contracts use these types."""

    any_value: Json = None
    value: JsonObject = {}


def nested(levels: int, leaf: Any = 1) -> Any:
    """Return a leaf within so many arrays and objects in turn."""
    for level in range(levels):
        leaf = {"x": leaf} if level % 2 else [leaf]
    return leaf


# ---- what is taken


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "é\U0001f600\u0000",
        0,
        -0.0,
        9007199254740991,
        -9007199254740991,
        1e300,
        5e-324,
        [],
        {"": {"a": [None, 1.5, "x"]}},
        nested(64),
    ],
)
def test_json_that_every_reader_holds_is_taken_as_it_is(value: Any) -> None:
    """Nothing is rounded, copied or reordered."""
    assert Holder(any_value=value).any_value == value


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        (math.nan, "", "NaN"),
        (math.inf, "", "NaN"),
        (-math.inf, "", "NaN"),
        (10**308, "", "an integer of more than 308 digits"),
        (-(10**308), "", "an integer of more than 308 digits"),
        (10**400, "", "an integer of more than 308 digits"),
        ("\ud800", "", "lone surrogate"),
        ("ok\udfff", "", "lone surrogate"),
        ({"a": [1, {"b": math.nan}]}, "/a/1/b", "NaN"),
        ({"a": {"\ud800": 1}}, "/a", "surrogate"),
        ({"a": [10**308]}, "/a/0", "308 digits"),
        ({"a": {1: 2}}, "/a", "names are strings"),
        ({"a": b"bytes"}, "/a", "not a JSON value"),
        ({"a": {1, 2}}, "/a", "not a JSON value"),
        ({"a": (1, 2)}, "/a", "not a JSON value"),
        ({"a/b": {"~": [math.nan]}}, "/a~1b/~0/0", "NaN"),
        ({"": {"": math.nan}}, "//", "NaN"),
    ],
)
def test_what_readers_hold_differently_is_refused_with_its_place(value: Any, path: str, said: str) -> None:
    """NaN, infinities, integers beyond the range of doubles, lone surrogates, and what is no JSON at all."""
    with pytest.raises(ValidationError) as refused:
        Holder(any_value=value)
    (error,) = refused.value.errors()
    assert error["type"] == "json_value"
    assert error["ctx"]["path"] == path
    assert error["msg"].startswith(f"{path}: " if path else said)
    assert said in error["msg"]


@pytest.mark.parametrize("levels", [65, 66, 900])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    """Before any reader that calls itself for each level gets to see it."""
    with pytest.raises(ValidationError, match=f"nested deeper than {MAX_DEPTH} levels"):
        Holder(any_value=nested(levels))


@pytest.mark.parametrize("value", [[], "x", 1, None])
def test_an_object_is_an_object(value: Any) -> None:
    """Where a subject or parameters are meant, a list or a text is refused."""
    with pytest.raises(ValidationError):
        Holder.model_validate({"value": value})


@pytest.mark.parametrize("body", [b'{"any_value": NaN}', b'{"any_value": [Infinity]}', b'{"any_value": -Infinity}'])
def test_numbers_that_are_not_json_are_refused_in_bytes_too(body: bytes) -> None:
    """The parser takes them; the check does not."""
    with pytest.raises(ValidationError, match="NaN and infinities are not JSON"):
        Holder.model_validate_json(body)


@pytest.mark.parametrize(
    "body", [b'{"any_value": "\\ud800"}', b'{"any_value": "\xff"}', b'{"any_value": 1,}', b"", b'{"any_value": 1} 2']
)
def test_bytes_that_are_not_json_are_refused(body: bytes) -> None:
    """A lone surrogate as an escape, bytes that are not UTF-8, commas too many, nothing, more than one value."""
    with pytest.raises(ValidationError):
        Holder.model_validate_json(body)


def test_an_error_is_told_in_a_line_without_what_was_sent() -> None:
    """Dead letters and logs name the place and never the value, which may be a secret."""
    with pytest.raises(ValidationError) as refused:
        Holder.model_validate({"value": "s3cret", "any_value": {"a": math.nan}})
    line = explain(refused.value)
    assert "/value" in line
    assert "/any_value" in line
    assert "s3cret" not in line
    assert "\n" not in line


# ---- the canonical form


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (-9007199254740992.0, "-9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1.0000000000000001e23, "1.0000000000000001e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e21, "1e+21"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.3333332, "333333333.3333332"),
        (333333333.33333325, "333333333.33333325"),
        (333333333.3333333, "333333333.3333333"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_rfc_8785_shows_them(number: float, written: str) -> None:
    """RFC 8785, appendix B: the shortest digits that read back, in ECMAScript's notation."""
    assert canonical_json(number) == written.encode()
    assert float(written) == number


def test_members_are_sorted_by_utf_16_as_rfc_8785_shows() -> None:
    """RFC 8785, section 3.2.3: by code units, so that an emoji comes before a character beyond the surrogates."""
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    written = canonical_json(value).decode()
    order = ["Carriage Return", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
    places = [written.index(name) for name in order]
    assert places == sorted(places)


def test_a_value_is_written_as_rfc_8785_shows() -> None:
    """RFC 8785, section 3.2.2: no spaces, few escapes, members sorted at every level, arrays as they are."""
    value: dict[str, Any] = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert (
        canonical_json(value)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


# ---- the digest


_texts = st.text() | st.text(st.characters(max_codepoint=0x7F))


def _collections(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    _collections,
)


@given(_values)
def test_whoever_writes_it_the_form_is_the_same(value: Any) -> None:
    """Most values are written by Python's own writer: byte for byte as by the one that knows RFC 8785 and nothing else."""
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.recursive(st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(-1e6, 1e6) | _texts, _collections, max_leaves=8))
def test_integers_are_written_with_all_their_digits(value: Any) -> None:
    """Every reader that has them exactly gets back what was written, and the digest of the one is the other's."""
    assert digest(json.loads(canonical_json(value))) == digest(value)


def test_two_integers_that_are_one_double_have_two_digests() -> None:
    """An approval of one is no approval of the other; the form is that of smaller integers, digit by digit."""
    assert canonical_json({"id": 1497549923779084388, "é": [0.5, -(10**40)]}) == (
        b'{"id":1497549923779084388,"\xc3\xa9":[0.5,-1' + b"0" * 40 + b"]}"
    )
    assert digest(2**53) != digest(2**53 + 1)


def test_a_digest_is_the_sha_256_of_the_canonical_form() -> None:
    """Anybody can make it with two standards and no code of ours."""
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest({"b": 1, "a": "é"}) == hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()


def test_a_digest_sees_bytes_and_not_how_they_were_written() -> None:
    """The order of members and the spelling of a number do not count; everything else does."""
    assert digest({"a": 1, "b": [1.0]}) == digest({"b": [1], "a": 1.0})
    assert digest([1, 2]) != digest([2, 1])
    assert digest([1]) != digest([True])
    assert digest({"a": None}) != digest({})
    assert digest("e\u0301") != digest("\u00e9"), "text is not normalised: other bytes are other text"


def test_the_deepest_value_that_is_taken_has_a_digest() -> None:
    """And so has a subject that holds it a few levels down."""
    deepest: Any = nested(MAX_DEPTH)
    for value in (deepest, {"a": {"b": {"c": {"d": deepest}}}}):
        assert len(digest(value)) == 64
