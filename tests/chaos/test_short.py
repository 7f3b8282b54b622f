"""The faults of `make test`: under one load, every service is killed once, and Kafka too."""

from __future__ import annotations

import pytest

from chaos.clients.plans.rotation import PLANS
from chaos.faults.backends import brokers
from chaos.faults.services import failpoints, processes
from chaos.system.stage import Stage
from chaos.verdict.count import count

FAULTS = [
    failpoints.killed_at("intake.appended"),
    failpoints.killed_at("work.called"),
    processes.killed("gateway"),
    processes.killed("notifier"),
    brokers.KILLED,
]


@pytest.mark.timeout(240)
async def test_whichever_process_is_killed_nothing_is_lost_and_nothing_happens_twice(stage: Stage) -> None:
    """Orchestrator, worker, gateway, notifier and Kafka are killed one after the other under load; no law is broken."""
    load = stage.load()
    async with load:
        for fault in FAULTS:
            await fault.inject(stage, load)
    counted = await count(stage, load)
    assert counted.runs > 50
    assert counted.decisions > counted.runs
    begun = {story.plan.steps for story in load.stories if story.plan is not None}
    assert begun == {plan.steps for plan in PLANS}, "each plan had its turn"
    assert not counted.broken
