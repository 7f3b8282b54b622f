"""One experiment: load, a fault, load, and the count of breaches."""

from __future__ import annotations

from chaos.faults import Fault
from chaos.system.stage import Stage
from chaos.verdict.count import Count, count

BEFORE, AFTER = 12, 12
"""Runs that end before the fault begins and after it is over."""


async def run_fault(fault: Fault, stage: Stage) -> Count:
    """Inject a fault under load; return the count."""
    load = stage.load()
    async with load:
        await load.more(BEFORE)
        await fault.inject(stage, load)
        await load.more(AFTER)
    return await count(stage, load)
