"""The ledger's tables, as the orchestrator makes them, for tests of those who read them."""

from __future__ import annotations

import asyncio

from chassis.postgres.migrations import migrate


async def make_ledger_tables(url: str) -> None:
    """Bring the schema `ledger` up to date."""
    await asyncio.to_thread(migrate, url, {"ledger": "orchestrator.adapters.postgres.migrations"})
