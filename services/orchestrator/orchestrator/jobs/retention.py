"""Remembered refusals do not grow for ever: those whose command cannot come again are forgotten. Touches nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from orchestrator.ports import LedgerAway

REMEMBERED = timedelta(days=30)
"""How long a refused command gets its recorded answer again.

Kafka can deliver it for the retention of `run.commands`, 7 days, and the 7 more until a quiet partition's last segment is
closed. The rest is for clients that repeat a request with its Idempotency-Key.
"""

AT_ONCE = 500
PAUSE_SECONDS = 60.0


class Refusals(Protocol):
    """Where refusals are remembered."""

    async def forget_refusals(self, older_than: timedelta, limit: int) -> int:
        """Forget the oldest refusals among those that are too old; return how many that were. Raises LedgerAway."""


async def forget(refusals: Refusals) -> None:
    """Forget all that is too old, a few at a time. Raises LedgerAway."""
    while await refusals.forget_refusals(REMEMBERED, AT_ONCE) == AT_ONCE:
        pass


async def forget_now_and_then(refusals: Refusals) -> None:
    """Forget for ever what has become too old."""
    while True:
        with suppress(LedgerAway):
            await forget(refusals)
        await asyncio.sleep(PAUSE_SECONDS)
