"""A service waits for what it needs, and says so without repeating itself."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from chassis.retry import patiently


class Unavailable(Exception):
    """Not there yet."""


class Needed:
    """Something that answers when it was asked often enough."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def connect(self) -> str:
        """Connect, or raise the next error."""
        if self._errors:
            raise self._errors.pop(0)
        return "connected"


async def test_waiting_is_said_when_it_begins_and_when_it_is_over() -> None:
    """However often it is tried between; an error without words is named."""
    needed = Needed(Unavailable(), ConnectionRefusedError("no"), Unavailable("still"))
    with capture_logs() as said:
        assert await patiently("Kafka", needed.connect, Unavailable) == "connected"
    assert [(line["event"], line["to"]) for line in said] == [
        ("waiting for a connection", "Kafka"),
        ("there is a connection", "Kafka"),
    ]
    assert said[0]["reason"] == "Unavailable"


async def test_nothing_is_said_when_there_is_nothing_to_wait_for() -> None:
    """A start without trouble is quiet."""
    with capture_logs() as said:
        assert await patiently("Kafka", Needed().connect, Unavailable) == "connected"
    assert said == []


async def test_an_error_that_waiting_does_not_mend_is_raised() -> None:
    """Only a service that is unavailable is waited for."""
    with pytest.raises(ValueError, match="misspelt"):
        await patiently("Kafka", Needed(Unavailable(), ValueError("misspelt")).connect, Unavailable)
