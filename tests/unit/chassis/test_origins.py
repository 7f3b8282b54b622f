"""Whose pages are served: ours, and no other unless we are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chassis.http.origins import is_welcome
from chassis.settings import Settings


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "127.0.0.1:8001"),
        ("http://127.0.0.1:8000", "127.0.0.1:8001"),
        ("http://localhost:8000", "127.0.0.1:8001"),
        ("http://[::1]:8000", "localhost:8001"),
        ("https://Sign.Example", "sign.example"),
        ("https://sign.example:8443", "sign.example:8001"),
    ],
)
def test_our_own_pages_and_programs_are_welcome(origin: str | None, host: str) -> None:
    """A page of the same host, by whatever port; a program that is no browser."""
    assert is_welcome({"host": host} | ({} if origin is None else {"origin": origin}))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:8001"),
        ("https://127.0.0.1.evil.example", "127.0.0.1:8001"),
        ("https://sign.example.evil.example", "sign.example"),
        ("null", "127.0.0.1:8001"),
        ("", "127.0.0.1:8001"),
        ("http://[", "127.0.0.1:8001"),
        ("https://sign.example", ""),
        ("http://localhost", "sign.example"),
    ],
)
def test_other_pages_are_not(origin: str, host: str) -> None:
    """Whatever somebody happens to look at cannot decide in their place."""
    assert not is_welcome({"host": host, "origin": origin})


def test_other_pages_are_when_we_are_told_of_them() -> None:
    """Behind a proxy that asks under another name, or where the pages stand elsewhere; however the setting is written."""
    others = Settings(origins="https://Sign.Example, http://127.0.0.1:5173,").allowed_origins
    for origin in ("https://sign.example", "http://127.0.0.1:5173"):
        assert is_welcome({"host": "gateway:8000", "origin": origin}, others)
    for origin in ("http://sign.example", "https://sign.example:8443", "https://evil.example"):
        assert not is_welcome({"host": "gateway:8000", "origin": origin}, others)


@pytest.mark.parametrize(
    "origins", ["*", "sign.example", "https://sign.example/inbox", "https://a.example https://b.example"]
)
def test_what_no_browser_says_is_no_setting(origins: str) -> None:
    """It would let nobody in, or let in more than was meant."""
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(origins=origins)
