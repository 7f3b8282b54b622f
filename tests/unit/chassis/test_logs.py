"""What Kafka's client says while all is well is no error in our logs."""

from __future__ import annotations

import logging

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError

from chassis.logs import soften


def level_of(name: str, message: str, *arguments: object) -> str:
    """Return the level that an error of a library has in our logs."""
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, None)
    assert soften(record)
    return record.levelname


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("Group Coordinator Request failed: %s", (GroupCoordinatorNotAvailableError(),)),
        ("Marking the coordinator dead (node %s)for group %s.", (1, "gateway-views")),
        ("Heartbeat failed for group %s because it is rebalancing", ("gateway-views",)),
        ("Heartbeat failed for group %s: generation id is not  current.", ("gateway-views",)),
        ("Heartbeat failed: local member_id was not recognized; resetting and re-joining group", ()),
    ],
)
def test_what_a_forming_group_says_is_news(message: str, arguments: tuple[object, ...]) -> None:
    """Each member hears it when a group begins or shares its partitions anew."""
    assert level_of("aiokafka.consumer.group_coordinator", message, *arguments) == "INFO"


@pytest.mark.parametrize(
    ("name", "message", "arguments"),
    [
        (
            "aiokafka.consumer.group_coordinator",
            "Group Coordinator Request failed: %s",
            (GroupAuthorizationFailedError(),),
        ),
        ("aiokafka", 'Unable connect to "%s": %s', ("127.0.0.1:1", "refused")),
        ("gateway.service", "Marking the coordinator dead", ()),
    ],
)
def test_trouble_stays_an_error(name: str, message: str, arguments: tuple[object, ...]) -> None:
    """An error that no retry mends, a Kafka that does not answer, and all that is not its client's."""
    assert level_of(name, message, *arguments) == "ERROR"
