"""Slots and places in PostgreSQL, by its clock, for all workers of a database together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from provider_worker.adapters.postgres import reservation_queries as queries
from provider_worker.adapters.postgres.pool import Pool, speaking
from provider_worker.rate_limits.reservations import ReservedSlots, Rule


class PostgresReservations:
    """Implements `limits.booking.Bookings`. `turned` stands in for the database's clock in tests."""

    def __init__(self, pool: Pool, turned: datetime | None = None) -> None:
        self._pool = pool
        self.turned = turned

    async def book(self, rule: Rule, holder: str, held: int, tokens: Sequence[int]) -> ReservedSlots:
        """Book in one statement."""
        gap, burst = (rule.pace.gap, rule.pace.burst) if rule.pace else (0.0, 1)
        about = (rule.name, holder, held, list(tokens), gap, burst, rule.tokens, rule.places, self.turned)
        async with speaking():
            row = await self._pool.fetchrow(queries.BOOK, *about)
        assert row is not None, "a function with out parameters returns a row"
        return ReservedSlots(row["begins_in"], row["seconds"], row["again_in"])

    async def settle(self, rule: Rule, second: int, tokens: int) -> None:
        """Count the difference."""
        async with speaking():
            await self._pool.execute(queries.SETTLE, rule.name, second, tokens)

    async def close(self, rule: Rule, seconds: float) -> None:
        """Close the account by the database's clock."""
        async with speaking():
            await self._pool.execute(queries.CLOSE, rule.name, seconds)
