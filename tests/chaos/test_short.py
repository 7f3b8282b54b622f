"""What `make test` does of the faults: one load, and while it lasts every service dies once, and Kafka too."""

from __future__ import annotations

import pytest

from chaos.counting import count
from chaos.faults import brokers, places, processes
from chaos.stage import Stage

FAULTS = [
    places.killed_at("intake.appended"),
    places.killed_at("work.called"),
    processes.killed("gateway"),
    processes.killed("notifier"),
    brokers.KILLED,
]


@pytest.mark.timeout(240)
async def test_whoever_dies_nothing_is_lost_and_nothing_happens_twice(stage: Stage) -> None:
    """Orchestrator, worker, gateway, notifier and Kafka are killed one after the other under load; no law is broken."""
    load = stage.load()
    async with load:
        for fault in FAULTS:
            await fault.do(stage, load)
    counted = await count(stage, load)
    assert counted.runs > 50
    assert counted.decisions > counted.runs
    assert not counted.broken
