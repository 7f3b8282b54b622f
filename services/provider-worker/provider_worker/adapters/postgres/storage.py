"""Everything that the worker keeps in PostgreSQL."""

from __future__ import annotations

from provider_worker.adapters.postgres.artifacts import PostgresArtifacts
from provider_worker.adapters.postgres.budgets import PostgresBudgets
from provider_worker.adapters.postgres.claims import PostgresClaims
from provider_worker.adapters.postgres.database import Database
from provider_worker.adapters.postgres.reservations import PostgresReservations


class PostgresStorage:
    """Implements `ports.Storage`."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self.claims = PostgresClaims(self._database)
        self.artifacts = PostgresArtifacts(self._database)
        self.budgets = PostgresBudgets(self._database)
        self.reservations = PostgresReservations(self._database)

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises DatabaseUnavailable."""
        await self._database.open()

    async def check(self) -> None:
        """Return when the database answers. Raises DatabaseUnavailable."""
        await self._database.check()

    async def forget_old(self) -> None:
        """Delete rows that no order and no budget needs any more. Raises DatabaseUnavailable."""
        await self.claims.forget_old()
        await self.budgets.forget_old()

    def close(self) -> None:
        """Disconnect at once."""
        self._database.close()
