"""The check `cost`: holds calls to budgets, before the review of the payload and once more before the call.

It is made whether or not the operator names it, and asks nobody while no budget applies. What is promised: a call is made only when
its estimate fits into every budget, or when a person approved it knowing that it does not. Estimates are counted before the call and
corrected after it, in the period that they were counted in; one whose end is not known, or whose cost, stays counted as estimated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

import structlog

from chassis.settings import Settings
from contracts.providers.call import Execution, Failure
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import ExecuteOrder, Order
from contracts.providers.signals import COST_CHECK, Finding
from provider_worker.budgets.model import Account, BudgetRules, Budgets, Shortfall, read_budget_rules
from provider_worker.checks.base import Check, Options, Stage, Subject, read_options
from provider_worker.ports import StorageUnavailable
from provider_worker.providers.base import AIProvider, ProviderError

_UNKNOWN = "It is not known what the call will cost, and a budget applies to it."
_NEVER_BEGUN = frozenset(
    {"circuit_open", "connection_failed", "payload_mismatch", "provider_unconfigured", "rate_limited"}
)
"""Failures without a status that are known to have cost nothing."""

_log = structlog.get_logger(__name__)


class CostCheck(Check):
    """Budgets of tenants, users and runs."""

    name = COST_CHECK
    stages = frozenset({Stage.PAYLOAD})

    def __init__(self, budgets: BudgetRules, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._budgets = budgets
        self._now = now
        self._spending: Budgets | None = None

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:
        """Make the check with the operator's budgets."""
        read_options(Options, cls.name, options)
        return cls(read_budget_rules(settings))

    def open(self, spending: Budgets) -> None:
        """Take the accounts."""
        self._spending = spending

    def concerns(self, order: Order) -> bool:
        """Say whether any budget applies to an order."""
        return self._budgets.limit_somebody or order.budget is not None

    async def look(self, subject: Subject) -> Finding | None:
        """Hold the estimate for the call, or say which budget is short of it."""
        account = self._account_of(subject)
        if not account.limits:
            return None
        if subject.estimate is None:
            return Finding(check=self.name, code="cost_unknown", message=_UNKNOWN, force=True)
        short = await self._accounts.hold(account, subject.estimate, self._budgets.hold_seconds)
        return None if short is None else _finding(short, subject.estimate)

    async def charged(
        self, order: ExecuteOrder, provider: AIProvider, call: Callable[[], Awaitable[Execution]]
    ) -> Execution:
        """Carry out `call` as far as the budgets allow it, and count what it cost. Raises what `call` raises.

        Raises ProviderError `budget_exceeded` or `cost_unknown` where nothing was called.
        """
        account = self._account_of(order) if self.concerns(order) else None
        if account is None or not account.limits:
            return await call()
        key = _key_of(order)
        try:
            if key is not None:
                await self._charge(order, provider, account, key)
            execution = await call()
        except (ProviderError, StorageUnavailable) as error:
            # A charge that raised may have been counted all the same, and its answer lost.
            if key is not None and _cost_nothing(error):
                await self._settle(order, key, Decimal(0))
            raise
        await self.correct(order, execution.cost)
        return execution

    async def correct(self, order: ExecuteOrder, cost: Decimal | None) -> None:
        """Count what a call did cost in place of its estimate; None, which is not known, changes nothing."""
        if cost is not None and self.concerns(order) and self._account_of(order).limits:
            await self._settle(order, _key_of(order), cost)

    async def correct_left_behind(self, stop: StopCall, cost: Decimal | None) -> None:
        """Count what a call did cost that was ended by its id, without the order that it was made for: its run's last one."""
        if cost is not None:
            await self._settle(stop, None, cost)

    async def _charge(self, order: ExecuteOrder, provider: AIProvider, account: Account, key: tuple[str, int]) -> None:
        # Of the bytes that go out: a person may have edited what was estimated first.
        amount = await _estimate(order, provider)
        if amount is None and not order.over_budget_approved:
            raise ProviderError(Failure(code="cost_unknown", message=f"{_UNKNOWN} Nothing was called."))
        amount, freely = amount or Decimal(0), order.over_budget_approved
        short = await self._accounts.charge(account, key, amount, whatever_is_left=freely)
        if short is not None:
            message = f"{short.message(amount)} Nothing was called."
            raise ProviderError(Failure(code="budget_exceeded", message=message))

    async def _settle(self, of: ExecuteOrder | StopCall, key: tuple[str, int] | None, amount: Decimal) -> None:
        try:
            await self._accounts.settle(of.tenant, of.run_id, key, amount)
        except Exception as error:  # the answer was paid for and must not be lost
            reason = f"{type(error).__name__}: {error}"
            _log.warning("not settled: the estimate stays counted", run_id=str(of.run_id), reason=reason)

    def _account_of(self, whose: Order | Subject) -> Account:
        return self._budgets.account(whose.tenant, whose.user_id, whose.run_id, whose.budget, self._now())

    @property
    def _accounts(self) -> Budgets:
        if self._spending is None:
            raise StorageUnavailable("the accounts are not open yet")
        return self._spending


async def _estimate(order: ExecuteOrder, provider: AIProvider) -> Decimal | None:
    try:
        return await provider.estimate_cost(order.operation, order.payload)
    except (ProviderError, StorageUnavailable):
        raise
    except Exception as error:
        message = f"A bug in the provider {provider.name} ({type(error).__name__}). Nothing was called."
        raise ProviderError(Failure(code="provider_bug", message=message)) from error


def _key_of(order: ExecuteOrder) -> tuple[str, int] | None:
    """Return what names the call, or None for one that is asked about: that was charged when it was begun."""
    return (order.work_id, order.attempt) if order.resume is None else None


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


def _cost_nothing(error: ProviderError | StorageUnavailable) -> bool:
    """Say whether a call that failed is known to have cost nothing: it was not made, or refused with a status."""
    match error:
        case StorageUnavailable():
            return True
        case ProviderError(failure=failure):
            refused = failure.status is not None and failure.status >= 400  # noqa: PLR2004 - the class of refusals
            return not failure.uncertain and (refused or failure.code in _NEVER_BEGUN)
