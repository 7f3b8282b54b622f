"""Retention of refusals: those whose command cannot come again are deleted. Touches nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from orchestrator.ports import LedgerUnavailable, Refusals

RETENTION = timedelta(days=30)
"""How long a refused command gets its recorded answer again.

Kafka can deliver it for the retention of commands, 7 days, and the 7 more until a quiet partition's last segment is closed. The
rest is for clients that repeat a request with its Idempotency-Key.
"""

AT_ONCE = 500
PAUSE_SECONDS = 60.0


async def delete_expired(refusals: Refusals) -> None:
    """Delete all refusals that are too old, a few at a time. Raises LedgerUnavailable."""
    while await refusals.delete_refusals(RETENTION, AT_ONCE) == AT_ONCE:
        pass


async def run_retention(refusals: Refusals) -> None:
    """Delete for ever what has become too old."""
    while True:
        with suppress(LedgerUnavailable):
            await delete_expired(refusals)
        await asyncio.sleep(PAUSE_SECONDS)
