"""The worker's storage in memory, for tests and for programs that embed the worker. It ends with the process."""

from __future__ import annotations

from provider_worker.errors import DatabaseUnavailable
from provider_worker.testing.budgets import MemoryBudgets
from provider_worker.testing.memory import MemoryArtifacts, MemoryClaims
from provider_worker.testing.reservations import MemoryReservations


class MemoryStorage:
    """Implements `dependencies.Storage`. `unavailable` makes all of it unreachable."""

    def __init__(self) -> None:
        self.claims = MemoryClaims()
        self.artifacts = MemoryArtifacts()
        self.budgets = MemoryBudgets()
        self.reservations = MemoryReservations()

    def switch(self, *, unavailable: bool) -> None:
        """Make the storage unreachable, or reachable again."""
        for part in (self.claims, self.artifacts, self.budgets, self.reservations):
            part.unavailable = unavailable

    async def open(self) -> None:
        """Return when the storage is reachable. Raises DatabaseUnavailable."""
        await self.check()

    async def check(self) -> None:
        """Return when the storage is reachable. Raises DatabaseUnavailable."""
        if self.claims.unavailable:
            raise DatabaseUnavailable("switched off")

    async def forget_old(self) -> None:
        """Keep everything: memory is not used for days."""

    def close(self) -> None:
        """Disconnect from nothing."""
