"""A check of budgets with accounts in memory, and a provider whose prices are as told: what tests of costs stand on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from contracts.providers.call import Spent
from contracts.providers.orders import ExecuteOrder
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import BudgetRules
from provider_worker.checks.base import Subject
from provider_worker.checks.cost import CostCheck
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.testing.budgets import MemoryBudgets

MakeSubject = Callable[..., Subject]
MakeExecute = Callable[..., ExecuteOrder]
MARCH, APRIL = datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


class PricedProvider(SandboxProvider):
    """A provider with a given estimate, or a given exception, and a given cost of calls that it ends."""

    def __init__(self, estimate: Decimal | Exception | None, spent: Spent | None = None) -> None:
        super().__init__()
        self.estimate = estimate
        self.spent = spent or Spent()

    async def stop(self, _: Unfinished) -> Spent:
        """Return the given cost."""
        return self.spent

    async def estimate_cost(self, *_: Any) -> Decimal | None:
        """Estimate as told."""
        if isinstance(self.estimate, Exception):
            raise self.estimate
        return self.estimate


class BudgetBench:
    """A check of budgets with accounts in memory, at a time that can be set, and calls that end as told."""

    def __init__(self, **budgets: Any) -> None:
        self.balances = MemoryBudgets()
        self.at = MARCH
        self.called = 0
        self.use(self.balances, **budgets)

    def use(self, balances: MemoryBudgets, **budgets: Any) -> None:
        """Keep balances elsewhere from now on."""
        self.balances = balances
        self.gate = BudgetGate(BudgetRules.model_validate(budgets), balances, lambda: self.at)
        self.check = CostCheck(self.gate)

    async def call(
        self,
        order: ExecuteOrder,
        outcome: Decimal | Exception | None,
        estimate: Decimal | Exception | None = Decimal(1),
    ) -> None:
        """Make a call that costs, or raises."""
        async with self.gate.charge(order, PricedProvider(estimate)) as charge:
            self.called += 1
            if isinstance(outcome, Exception):
                raise outcome
            charge.cost = outcome

    async def left(self, subject: MakeSubject) -> Decimal:
        """Return the rest of the budget, by asking for far too much."""
        finding = await self.check.look(subject(run_id=UUID(int=99), estimate=Decimal(10**6)))
        assert finding is not None
        return Decimal(finding.data["left"])
