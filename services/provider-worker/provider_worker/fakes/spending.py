"""The accounts of budgets in memory: for tests and for whoever embeds the worker's core. They forget everything with the process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from provider_worker.checks.budgets import Account, Scope, Shortfall, Standing, short_of
from provider_worker.ports import StorageUnavailable

_Run = tuple[str, UUID]


class _Held(NamedTuple):
    user: str
    periods: frozenset[str]
    amount: Decimal
    until: float


class MemorySpending:
    """Implements `checks.budgets.Spending`. `away` makes the accounts unreachable; `asked` counts what was asked of them."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.away = False
        self.asked = 0
        self._now = now
        self._spent: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
        self._held: dict[_Run, _Held] = {}
        self._charges: dict[_Run, dict[tuple[str, int], Decimal]] = defaultdict(dict)
        self._settled: set[tuple[_Run, tuple[str, int]]] = set()

    async def hold(self, account: Account, amount: Decimal, seconds: float) -> Shortfall | None:
        """Hold `amount` for the run's next call, or say which budget is short of it."""
        run = self._run(account)
        self._held.pop(run, None)
        short = short_of(account, self._standings(account), amount)
        if short is None:
            periods = frozenset(limit.period for limit in account.limits)
            self._held[run] = _Held(account.user, periods, amount, self._now() + seconds)
        return short

    async def charge(
        self, account: Account, call: tuple[str, int], amount: Decimal, *, whatever_is_left: bool
    ) -> Shortfall | None:
        """Count `amount` as spent by a call that is about to be made, or say which budget is short of it."""
        run = self._run(account)
        self._held.pop(run, None)
        if call in self._charges[run]:
            return None
        short = None if whatever_is_left else short_of(account, self._standings(account), amount)
        if short is None:
            self._charges[run][call] = amount
            self._add(account, amount)
        return short

    async def settle(self, account: Account, call: tuple[str, int] | None, amount: Decimal) -> None:
        """Count what the call did cost in place of what it was charged."""
        run = self._run(account)
        unsettled = [key for key in self._charges[run] if (run, key) not in self._settled]
        key = call if call is not None else next(reversed(unsettled), None)
        if key in unsettled:
            self._settled.add((run, key))
            self._add(account, amount - self._charges[run][key])
            self._charges[run][key] = amount

    def _run(self, account: Account) -> _Run:
        self.asked += 1
        if self.away:
            raise StorageUnavailable("switched off")
        return account.tenant, account.run_id

    def _standings(self, account: Account) -> dict[Scope, Standing]:
        run = (account.tenant, account.run_id)
        periods = {limit.period for limit in account.limits}
        others = [
            held
            for key, held in self._held.items()
            if key[0] == account.tenant and key != run and held.until > self._now() and held.periods & periods - {""}
        ]
        by_scope = {
            Scope.TENANT: sum((held.amount for held in others), Decimal(0)),
            Scope.USER: sum((held.amount for held in others if held.user == account.user), Decimal(0)),
            Scope.RUN: Decimal(0),
        }
        rows = {limit.scope: (account.tenant, *limit[:3]) for limit in account.limits}
        return {scope: Standing(self._spent[row], by_scope[scope]) for scope, row in rows.items()}

    def _add(self, account: Account, amount: Decimal) -> None:
        for limit in account.limits:
            self._spent[account.tenant, *limit[:3]] += amount
