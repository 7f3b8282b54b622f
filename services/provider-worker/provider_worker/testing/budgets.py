"""The balances of budgets in memory, for tests and for programs that embed the worker. They end with the process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from provider_worker.budgets.model import Account, BudgetBalance, Limit, Scope, Shortfall, short_of
from provider_worker.errors import DatabaseUnavailable

_Run = tuple[str, UUID]


class _Held(NamedTuple):
    user: str
    periods: frozenset[str]
    amount: Decimal
    until: float
    version: int


class _Charge(NamedTuple):
    amount: Decimal
    limits: tuple[Limit, ...]
    settled: bool = False


class MemoryBudgets:
    """Implements `budgets.model.Budgets`. `unavailable` makes the balances unreachable; `asked` counts requests."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.unavailable = False
        self.asked = 0
        self._now = now
        self._spent: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
        self._held: dict[_Run, _Held] = {}
        self._charges: defaultdict[_Run, dict[tuple[str, int], _Charge]] = defaultdict(dict)

    async def hold(self, account: Account, amount: Decimal, seconds: float, version: int = 0) -> Shortfall | None:
        """Hold `amount` for the run's next call, or return the budget that is short of it."""
        run = self._run(account.tenant, account.run_id)
        self._held.pop(run, None)
        short = short_of(account, self._balances(account), amount)
        if short is None:
            periods = frozenset(limit.period for limit in account.limits)
            self._held[run] = _Held(account.user, periods, amount, self._now() + seconds, version)
        return short

    async def release(self, tenant: str, run_id: UUID, version: int) -> None:
        """Give back what was held for a run at `version` or before."""
        run = self._run(tenant, run_id)
        if run in self._held and self._held[run].version <= version:
            del self._held[run]

    async def charge(
        self, account: Account, call: tuple[str, int], amount: Decimal, *, whatever_is_left: bool
    ) -> Shortfall | None:
        """Count `amount` as spent by a call that is about to be made, or return the budget that is short of it."""
        run = self._run(account.tenant, account.run_id)
        self._held.pop(run, None)
        if call in self._charges[run]:
            return None
        short = None if whatever_is_left else short_of(account, self._balances(account), amount)
        if short is None:
            self._charges[run][call] = _Charge(amount, account.limits)
            self._add(account.tenant, account.limits, amount)
        return short

    async def settle(self, tenant: str, run_id: UUID, call: tuple[str, int] | None, amount: Decimal) -> None:
        """Correct a call's charge by its cost, on the budgets that it was charged to."""
        charges = self._charges[self._run(tenant, run_id)]
        key = call if call is not None else next(reversed(charges), None)
        charge = charges.get(key) if key is not None else None
        if key is not None and charge is not None and not charge.settled:
            charges[key] = _Charge(amount, charge.limits, settled=True)
            self._add(tenant, charge.limits, amount - charge.amount)

    def _run(self, tenant: str, run_id: UUID) -> _Run:
        self.asked += 1
        if self.unavailable:
            raise DatabaseUnavailable("switched off")
        return tenant, run_id

    def _balances(self, account: Account) -> dict[Scope, BudgetBalance]:
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
        return {scope: BudgetBalance(self._spent[row], by_scope[scope]) for scope, row in rows.items()}

    def _add(self, tenant: str, limits: tuple[Limit, ...], amount: Decimal) -> None:
        for limit in limits:
            self._spent[tenant, *limit[:3]] += amount
