"""Reservations in memory, for tests and for programs that embed the worker in one process. They end with it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from provider_worker.errors import DatabaseUnavailable
from provider_worker.rate_limits.reservations import Account, ReservedSlots, Rule


class MemoryReservations:
    """Implements `rate_limits.reservations.Reservations`. `unavailable` makes the database unreachable; `asked` counts statements, `given` slots."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.unavailable = False
        self.asked = 0
        self.given = 0
        self.accounts: defaultdict[str, Account] = defaultdict(Account)
        self._now = now

    async def reserve(self, rule: Rule, holder: str, held: int, tokens: Sequence[int]) -> ReservedSlots:
        """Reserve slots by the given clock."""
        self._ask()
        reserved = self.accounts[rule.name].reserve(rule, holder, held, tokens, self._now())
        self.given += len(reserved.begins_in)
        return reserved

    async def settle(self, rule: Rule, second: int, tokens: int) -> None:
        """Count the difference."""
        self._ask()
        counted = self.accounts[rule.name].tokens
        counted[second] = max(0, counted.get(second, 0) + tokens)

    async def close(self, rule: Rule, seconds: float) -> None:
        """Close the account."""
        self._ask()
        account = self.accounts[rule.name]
        account.closed_until = max(account.closed_until, self._now() + seconds)

    def _ask(self) -> None:
        self.asked += 1
        if self.unavailable:
            raise DatabaseUnavailable("switched off")
