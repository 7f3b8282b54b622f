"""Which pages may open a socket: ours, and no other; and what a client may ask to watch."""

from __future__ import annotations

from uuid import uuid4

import pytest

from notifier.handshake import is_welcome, read_watch


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


def test_a_run_is_watched_however_its_id_is_written() -> None:
    """Events hold it in one form only."""
    run_id = str(uuid4())
    for written in (run_id, run_id.upper(), run_id.replace("-", ""), f"{{{run_id}}}"):
        assert read_watch({"run_id": written}).filters().run_id == run_id


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
