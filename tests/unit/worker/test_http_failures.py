"""The failure that a bad end of an HTTP call is, for every vendor."""

from __future__ import annotations

import pytest

from provider_worker.providers.http.failures import retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    """In seconds, milliseconds or as a date; at most an hour."""
    assert retry_after(headers) == seconds


def test_a_time_to_wait_that_is_no_number_is_none() -> None:
    """An event cannot hold it."""
    assert retry_after({"retry-after": "nan"}) is None
