"""Claims in PostgreSQL: at most one begin of each call in the world."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.providers.call_stream import StopCall
from provider_worker.adapters.postgres.database import QUERIES, Database
from provider_worker.ports import CallOrder


class PostgresClaims:
    """Implements `ports.Claims`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, orders: Sequence[CallOrder | StopCall], token: str) -> set[tuple[str, str, int]]:
        """Claim all `orders` in one statement; return those that are `token`'s. No order may be named twice."""
        wanted = [(order.tenant, order.work_id, order.attempt) for order in orders]
        async with self._database.errors():
            rows = await self._database.pool.fetch(QUERIES["claim-calls"], *map(list, zip(*wanted, strict=True)), token)
        return {(row["tenant"], row["work_id"], row["attempt"]) for row in rows}

    async def release(self, orders: Sequence[CallOrder], token: str) -> None:
        """Give up claims of `token`; those of others stay."""
        held = [(order.tenant, order.work_id, order.attempt) for order in orders]
        async with self._database.errors():
            await self._database.pool.execute(QUERIES["release-calls"], *map(list, zip(*held, strict=True)), token)

    async def forget_old(self) -> None:
        """Delete claims older than 7 days."""
        async with self._database.errors():
            await self._database.pool.execute(QUERIES["forget-claims"])
