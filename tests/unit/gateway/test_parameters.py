"""Query parameters of the routes that FastAPI does not serve: read as its own would be, and refused in the same words."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from gateway.http.parameters import AtVersion, read_parameters
from gateway.http.problems import Problem


def request_with(query: bytes) -> Request:
    """Return a request with this query."""
    return Request({"type": "http", "headers": [], "query_string": query})


@pytest.mark.parametrize(
    ("query", "version"),
    [(b"", None), (b"min_version=7", 7), (b"min_version=%37", 7), (b"&", None)],
)
def test_a_query_is_read_as_a_model(query: bytes, version: int | None) -> None:
    """Decoded, as with FastAPI."""
    assert read_parameters(AtVersion, request_with(query)).min_version == version


@pytest.mark.parametrize(
    ("query", "path", "code"),
    [
        (b"min_version=0", "/min_version", "greater_than_equal"),
        (b"min_version=99999999999999999999", "/min_version", "less_than_equal"),
        (b"min_version=x", "/min_version", "int_parsing"),
        (b"min_version=", "/min_version", "int_parsing"),
        (b"other=1", "/other", "extra_forbidden"),
        (b"min_version=1&min_version=2", "/min_version", "repeated"),
        (b"min_version=1&min%5Fversion=1", "/min_version", "repeated"),
    ],
)
def test_a_wrong_parameter_is_named(query: bytes, path: str, code: str) -> None:
    """With its place and the code of its fault."""
    with pytest.raises(Problem) as caught:
        read_parameters(AtVersion, request_with(query))
    (issue,) = caught.value.members["issues"]
    assert (issue["path"], issue["code"], issue["in"]) == (path, code, "query")


def test_an_unknown_parameter_is_told_the_nearest_known_one() -> None:
    """As a member of a body is."""
    with pytest.raises(Problem) as caught:
        read_parameters(AtVersion, request_with(b"version=1"))
    assert caught.value.detail == "/version: no such name; did you mean `min_version`?"
