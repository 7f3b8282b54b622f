"""Topics on one broker and on three: who must have a record before it is acknowledged."""

from __future__ import annotations

import pytest

from contracts.topics import CATALOG, COMMANDS
from messaging import admin


@pytest.mark.parametrize(("replicas", "must_have"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_with_three_replicas_two_must_have_a_record(replicas: int, must_have: str | None) -> None:
    """So the power of one machine loses nothing; with fewer brokers, asking for two would stop everything with one."""
    for topic in (COMMANDS, CATALOG):
        made = admin._new(topic, replicas)
        assert made.replication_factor == replicas
        assert made.topic_configs.get("min.insync.replicas") == must_have
