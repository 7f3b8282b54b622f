"""What a request of a browser shows, and what of it is believed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.browser import is_local, to_sign_in, wants_page
from gateway.identity.csrf import form_values, is_same

HTML = (b"accept", b"text/html")
FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")


def scope(method: str = "GET", path: str = "/", query: bytes = b"", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Return a request."""
    return {"type": "http", "scheme": "http", "method": method, "path": path, "query_string": query, "headers": headers}


@given(st.text(alphabet=st.sampled_from("/\\ex.:@?#%\t\n\r \x00ä;a"), max_size=12))
def test_a_local_path_leads_to_this_host_as_every_browser_reads_it(text: str) -> None:
    """Browsers take a backslash for a slash, and leave out tabs and line breaks."""
    if is_local(text):
        as_browsers_read = "".join(character for character in text if character not in "\t\r\n").replace("\\", "/")
        assert urlsplit(urljoin("https://sayso.example/signin", as_browsers_read)).netloc == "sayso.example"
        assert as_browsers_read == text


@pytest.mark.parametrize(
    "path", ["/", "/hitl/runs?limit=5&x=%2F%2Fy", "/a//b", "/?next=https://x", "/a@b:c", "/" + "x" * 1_999]
)
def test_paths_of_this_host_are_local(path: str) -> None:
    """With their query."""
    assert is_local(path)


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", [HTML], True),
        ("HEAD", [(b"accept", b"application/json, text/html;q=0.1")], True),
        ("POST", [HTML, FORM], True),
        ("POST", [HTML, (b"content-type", b"application/json")], False),
        ("POST", [HTML], False),
        ("DELETE", [HTML], False),
        ("GET", [(b"accept", b"*/*")], False),
        ("GET", [(b"accept", b"text/event-stream")], False),
        ("GET", [], False),
    ],
)
def test_a_person_looks_at_what_a_browser_goes_to_or_sends(
    method: str, headers: list[tuple[bytes, bytes]], *, expected: bool
) -> None:
    """Everything else is an API call."""
    assert wants_page(scope(method, "/", b"", *headers)) is expected


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        (scope("GET", "/"), "/signin"),
        (scope("GET", "/a b", b"x=1"), "/signin?next=%2Fa%2520b%3Fx%3D1"),
        (scope("GET", "//evil.example"), "/signin"),
        (scope("GET", "/\\evil"), "/signin?next=%2F%255Cevil"),
        (scope("GET", "/\ud800"), "/signin?next=%2F%253F"),
        (scope("GET", "/x", b"a=\\"), "/signin"),
        (scope("POST", "/signout"), "/signin"),
    ],
)
def test_one_is_led_back_by_a_local_path_alone(asked: dict[str, Any], led: str) -> None:
    """What came by a write leads to the first page."""
    answer = to_sign_in(asked)
    assert (answer.status_code, answer.headers["location"]) == (303, led)
    assert "set-cookie" not in answer.headers


def test_a_form_is_read_as_browsers_write_it() -> None:
    """Of too many fields none is read."""
    assert form_values(b"a=1&csrf_token=x%2By+z&b", "csrf_token") == ["x+y z"]
    assert form_values(b"csrf_token=1&csrf_token=", "csrf_token") == ["1", ""]
    assert form_values(b"\xff=%ff&csrf_token=\xe9", "csrf_token") == ["\xe9"]
    assert form_values(b"a=1&" * 100 + b"csrf_token=x", "csrf_token") == []


def test_tokens_are_compared_whatever_they_hold() -> None:
    """A lone surrogate is no error."""
    assert is_same("token", "token")
    for other in ("", "toke", "tokenx", "\ud800", "TOKEN"):
        assert not is_same(other, "token")
