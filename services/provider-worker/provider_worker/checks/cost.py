"""The check `cost`: holds a payload's estimate on every budget before the review. It runs whether or not the operator names it."""

from __future__ import annotations

from decimal import Decimal

from contracts.providers.orders import Order
from contracts.providers.signals import COST_CHECK, Finding
from provider_worker.budgets.gate import COST_UNKNOWN, BudgetGate
from provider_worker.budgets.model import Shortfall
from provider_worker.checks.base import Check, Stage, Subject


class CostCheck(Check):
    """Budgets of tenants, users and runs."""

    name = COST_CHECK
    stages = frozenset({Stage.PAYLOAD})

    def __init__(self, budgets: BudgetGate) -> None:
        self._budgets = budgets

    def applies_to(self, order: Order) -> bool:
        """Return whether any budget may apply to an order."""
        return self._budgets.applies_to(order)

    async def look(self, subject: Subject) -> Finding | None:
        """Hold the estimate for the call, or find the budget that is short of it."""
        account = self._budgets.account_of(subject)
        if not account.limits:
            return None
        if subject.estimate is None:
            return Finding(check=self.name, code="cost_unknown", message=COST_UNKNOWN, force=True)
        short = await self._budgets.hold(account, subject.estimate, subject.work_id)
        return None if short is None else _finding(short, subject.estimate)


def _finding(short: Shortfall, estimate: Decimal) -> Finding:
    limit = short.limit
    data = {
        "scope": limit.scope.value,
        "name": limit.name,
        "period": limit.period,
        "budget": f"{limit.most:f}",
        "left": f"{short.left:f}",
        "estimate": f"{estimate:f}",
    }
    return Finding(check=COST_CHECK, code="budget_exceeded", message=short.message(estimate), force=True, data=data)
