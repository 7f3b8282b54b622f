"""Slots and places in PostgreSQL, by its clock, for all workers together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from provider_worker.adapters.postgres.database import QUERIES, Database
from provider_worker.rate_limits.reservations import ReservedSlots, Rule


class PostgresReservations:
    """Implements `rate_limits.reservations.Reservations`. `turned` replaces the database's clock in tests."""

    def __init__(self, database: Database, turned: datetime | None = None) -> None:
        self._database = database
        self.turned = turned

    async def reserve(self, rule: Rule, holder: str, held: int, tokens: Sequence[int]) -> ReservedSlots:
        """Reserve in one statement."""
        gap, burst = (rule.pace.gap, rule.pace.burst) if rule.pace else (0.0, 1)
        about = (rule.name, holder, held, list(tokens), gap, burst, rule.tokens, rule.places, self.turned)
        async with self._database.errors():
            row = await self._database.pool.fetchrow(QUERIES["reserve-slots"], *about)
        assert row is not None, "a function with out parameters returns a row"
        return ReservedSlots(row["begins_in"], row["seconds"], row["again_in"])

    async def settle(self, rule: Rule, second: int, tokens: int) -> None:
        """Count the difference."""
        async with self._database.errors():
            await self._database.pool.execute(QUERIES["settle-tokens"], rule.name, second, tokens)

    async def close(self, rule: Rule, seconds: float) -> None:
        """Close the account by the database's clock."""
        async with self._database.errors():
            await self._database.pool.execute(QUERIES["close-account"], rule.name, seconds)
