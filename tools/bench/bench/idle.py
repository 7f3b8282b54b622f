"""What `make run` costs while nothing happens: the embedded stack, with its page open nowhere and its sample run waiting."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.system.gauges import cpu_seconds
from testkit.stack.local_run import ready_run

SETTLE_SECONDS = 6
"""How long the stack has to come to rest after its start."""


async def measure_idle(folder: Path, seconds: float) -> float:
    """Return the share of one core that an idle embedded stack takes, all its processes together. Its data lie in `folder`."""
    async with ready_run(folder) as run:
        await asyncio.sleep(SETTLE_SECONDS)
        before, began = cpu_seconds(run.process.pid), time.monotonic()
        await asyncio.sleep(seconds)
        return (cpu_seconds(run.process.pid) - before) / (time.monotonic() - began)
