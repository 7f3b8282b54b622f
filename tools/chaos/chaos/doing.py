"""One fault from beginning to end: people at work, the fault, people at work, the count."""

from __future__ import annotations

from chaos.counting import Count, count
from chaos.faults import Fault
from chaos.stage import Stage

BEFORE, AFTER = 12, 12
"""Runs that end before the fault begins and after it is over: it happens in the midst of work, and work goes on."""


async def do(fault: Fault, stage: Stage) -> Count:
    """Do a fault under load and count."""
    load = stage.load()
    async with load:
        await load.more(BEFORE)
        await fault.do(stage, load)
        await load.more(AFTER)
    return await count(stage, load)
