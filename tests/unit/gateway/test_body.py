"""What the door lets in: size, time, type, depth and form of a body, before any model sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st
from starlette.requests import Request

from contracts.json_values import MAX_DEPTH
from gateway.http.body import check_media_type, parse_json, read_body, read_json
from gateway.http.problems import Problem


def request_of(chunks: Sequence[bytes], **headers: str) -> Request:
    """Return a request whose body comes in these pieces."""

    async def pieces() -> AsyncIterator[dict[str, Any]]:
        for index, chunk in enumerate(chunks):
            yield {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        raise AssertionError("read beyond the body's end")

    coming = pieces()
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": named}, coming.__anext__)


def nested(levels: int) -> bytes:
    """Return arrays in arrays, `levels` deep."""
    return b"[" * levels + b"]" * levels


async def test_a_body_comes_in_pieces_and_is_whole() -> None:
    """Pieces are put together, up to the limit exactly."""
    assert await read_body(request_of([b"ab", b"", b"cd"]), limit=4) == b"abcd"


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    """Content-Length alone is enough: not one piece is asked for."""
    with pytest.raises(Problem) as caught:
        await read_body(request_of([], content_length="5"), limit=4)
    assert caught.value.code == "payload_too_large"


async def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    """Without Content-Length the piece that goes beyond the limit is the last one read."""
    request = request_of([b"abc", b"def", b"never"])
    with pytest.raises(Problem) as caught:
        await read_body(request, limit=4)
    assert caught.value.code == "payload_too_large"
    assert (await request.receive())["body"] == b"never"


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"],
)
def test_json_by_any_name_is_taken(media_type: str) -> None:
    """Parameters, case and structured suffixes do not matter."""
    check_media_type(request_of([], content_type=media_type))


def test_a_body_without_a_type_is_taken_for_json() -> None:
    """A client that says nothing is believed."""
    check_media_type(request_of([]))


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
def test_another_type_is_refused(media_type: str) -> None:
    """A form that some page makes a browser send is no request."""
    with pytest.raises(Problem) as caught:
        check_media_type(request_of([], content_type=media_type))
    assert caught.value.code == "unsupported_media_type"


async def test_an_empty_body_counts_as_an_object_without_members() -> None:
    """Approving needs no body."""
    assert await read_json(request_of([b""]), limit=10) == (b"{}", {})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b"{'a': 1}", "json_invalid"),
        (b'{"a": 1} {"a": 2}', "json_invalid"),
        (b'{"a": "\xff"}', "json_invalid"),
        ('{"a": 1}'.encode("utf-16"), "json_invalid"),
        (b"\xef\xbb\xbf{}", "json_invalid"),
        (b'{"a": ' + b"1" * 5000 + b"}", "json_invalid"),
        (b'{"a": {"b": 1, "b": 2}}', "json_duplicate"),
        (nested(MAX_DEPTH + 1), "json_too_deep"),
        (nested(2000), "json_too_deep"),
        (b"[" * 2000, "json_too_deep"),
    ],
    ids=["empty", "cut", "python", "two", "bytes", "utf-16", "bom", "huge number", "twice", "65", "2,000", "open"],
)
def test_what_readers_of_json_would_not_all_understand_alike_is_refused(body: bytes, code: str) -> None:
    """Each gets the problem that says why."""
    with pytest.raises(Problem) as caught:
        parse_json(body)
    assert (caught.value.code, caught.value.members["issues"][0]["code"]) == ("validation_failed", code)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"a": [], "deep": ' + nested(100) + b"}", "/deep"),
        (b'{"a": {"deep": 1}, "b/~c": ' + nested(100) + b"}", "/b~1~0c"),
        (b'{"a\\"": ' + nested(100) + b"}", '/a\\"'),
        (nested(100), ""),
    ],
    ids=["a member", "an odd name", "an escaped name", "no member"],
)
def test_what_is_too_deep_is_named(body: bytes, path: str) -> None:
    """The outermost member that leads too deep."""
    with pytest.raises(Problem) as caught:
        parse_json(body)
    assert caught.value.members["issues"][0]["path"] == path


def test_brackets_in_texts_are_not_depth() -> None:
    """A prompt may be nothing but brackets, quotes and backslashes."""
    for text in ("[" * 500, '[{"' * 500, "\\" * 500 + "[" * 500, '\\"[' * 500):
        parse_json(json.dumps({"prompt": text}).encode())


def test_the_deepest_that_is_taken_is_parsed() -> None:
    """The limit itself is within it."""
    assert parse_json(nested(MAX_DEPTH)) is not None


@pytest.mark.parametrize("unit", [b'"', b"\\", b'\\"', b'"\\', b'["', b'[\\"', b'"[', b"[]", b"{}", b'"a":'])
def test_no_body_makes_the_scan_slow(unit: bytes) -> None:
    """A quarter of a megabyte of the worst pieces is scanned at once: the test would run for hours if it cost a square."""
    body = b"[" * 65 + b"]" * 65 + unit * (256 * 1024 // len(unit))
    with pytest.raises(Problem):
        parse_json(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=30,
)


@over(JSON, st.booleans())
def test_any_json_is_read_as_it_was_written(value: Any, ascii_only: bool) -> None:  # noqa: FBT001
    """The door changes nothing of what it lets in."""
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")) == value


def test_a_byte_order_mark_is_named() -> None:
    """Its sender cannot see it."""
    with pytest.raises(Problem, match="BOM"):
        parse_json(b"\xef\xbb\xbf{}")
