"""Holds calls to budgets: `charge` before the call, settled by what it cost.

A call is made only when its estimate fits into every budget, or when a person approved it knowing that it does not. An estimate is
counted before the call and corrected after it, in the period that it was counted in; a call that failed counts by what was bought. A
call whose end or cost is unknown stays counted as estimated. No statement is made while no budget applies.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Protocol, Self
from uuid import UUID

import structlog
from cachetools import FIFOCache

from chassis.failpoints import Now, utc_now
from contracts.providers.call import Failure
from contracts.providers.call_stream import ReleaseBudget, StopCall
from contracts.providers.orders import ExecuteOrder, Order
from provider_worker.budgets.model import Account, BudgetRules, Budgets, Shortfall
from provider_worker.errors import DatabaseUnavailable
from provider_worker.messages.orders import version_of
from provider_worker.providers.base import AIProvider, ProviderError

COST_UNKNOWN = "It is not known what the call will cost, and a budget applies to it."

_NEVER_BEGUN = frozenset(
    {"circuit_open", "connection_failed", "payload_mismatch", "provider_unconfigured", "rate_limited"}
)
"""Failures without a status that are known to have cost nothing."""

MOST_REMEMBERED = 5_000
"""Ends of runs: far more than come while one call is prepared."""

_log = structlog.get_logger(__name__)


class Budgeted(Protocol):
    """An order, or a check's subject: whose run it is, and what the run allows itself in US dollars."""

    @property
    def tenant(self) -> str: ...  # noqa: D102 - named by the class
    @property
    def user_id(self) -> str | None: ...  # noqa: D102
    @property
    def run_id(self) -> UUID: ...  # noqa: D102
    @property
    def budget(self) -> Decimal | None: ...  # noqa: D102


class Charge:
    """A call within a budget. `cost` is what it did cost, None while that is unknown. By itself it counts nothing."""

    cost: Decimal | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class BudgetGate:
    """The budgets of tenants, users and runs."""

    def __init__(self, rules: BudgetRules, budgets: Budgets, now: Now = utc_now) -> None:
        self._rules = rules
        self._budgets = budgets
        self._now = now
        # A run may end while a worker prepares its call, which holds for it after that.
        self._ended: FIFOCache[tuple[str, UUID], int] = FIFOCache(MOST_REMEMBERED)

    def applies_to(self, order: Order) -> bool:
        """Return whether any budget may apply to an order."""
        return self._rules.limit_anyone or order.budget is not None

    def account_of(self, whose: Budgeted) -> Account:
        """Return the budgets that a run's calls count against now."""
        return self._rules.account(whose.tenant, whose.user_id, whose.run_id, whose.budget, self._now())

    async def hold(self, account: Account, estimate: Decimal, work_id: str) -> Shortfall | None:
        """Hold the estimate for the run's next call, or return the budget that is short of it. Raises DatabaseUnavailable.

        Nothing is held for an order (`work_id`) that was given before its run ended.
        """
        version = version_of(work_id)
        short = await self._budgets.hold(account, estimate, self._rules.hold_seconds, version)
        if version <= (ended := self._ended.get((account.tenant, account.run_id), -1)):
            await self._budgets.release(account.tenant, account.run_id, ended)
        return short

    async def release(self, ended: ReleaseBudget) -> None:
        """Give back what is held for the next call of a run that ended. Idempotent. Raises DatabaseUnavailable.

        What a retry of the run holds stays: a worker that starts reads the ends of the last hour again. A run's own budget holds
        nothing from others.
        """
        if self._rules.limit_anyone:
            run = ended.tenant, ended.run_id
            self._ended[run] = max(ended.version, self._ended.get(run, -1))
            await self._budgets.release(*run, ended.version)

    def charge(self, order: ExecuteOrder, provider: AIProvider) -> AbstractAsyncContextManager[Charge]:
        """Count the call within by its estimate, and by its `cost` once it has ended.

        Raises ProviderError `budget_exceeded` or `cost_unknown`, and DatabaseUnavailable, where nothing was called.
        """
        account = self.account_of(order) if self.applies_to(order) else None
        return Charge() if account is None or not account.limits else self._charged(order, provider, account)

    @contextlib.asynccontextmanager
    async def _charged(self, order: ExecuteOrder, provider: AIProvider, account: Account) -> AsyncIterator[Charge]:
        charge, key = Charge(), _key_of(order)
        try:
            if key is not None:
                await self._charge(order, provider, account, key)
            yield charge
        except (ProviderError, DatabaseUnavailable) as error:
            # A charge that raised may have been counted all the same, and its answer lost.
            if (bought := _cost_of(error)) is not None:
                await self.settle(order, bought)
            elif key is not None and _cost_nothing(error):
                await self._settle(order, key, Decimal(0))
            raise
        await self.settle(order, charge.cost)

    async def settle(self, order: ExecuteOrder, cost: Decimal | None) -> None:
        """Count a call's cost in place of its estimate; an unknown cost changes nothing."""
        if cost is not None and self.applies_to(order) and self.account_of(order).limits:
            await self._settle(order, _key_of(order), cost)

    async def settle_last(self, stop: StopCall, cost: Decimal | None) -> None:
        """Count the cost of a run's last call, which was ended by its id; an unknown cost changes nothing."""
        if cost is not None:
            await self._settle(stop, None, cost)

    async def _charge(self, order: ExecuteOrder, provider: AIProvider, account: Account, key: tuple[str, int]) -> None:
        # Of the bytes that go out: a person may have edited the payload that was estimated before.
        amount = await _estimate(order, provider)
        if amount is None and not order.over_budget_approved:
            raise ProviderError(Failure(code="cost_unknown", message=f"{COST_UNKNOWN} Nothing was called."))
        amount, freely = amount or Decimal(0), order.over_budget_approved
        short = await self._budgets.charge(account, key, amount, whatever_is_left=freely)
        if short is not None:
            message = f"{short.message(amount)} Nothing was called."
            raise ProviderError(Failure(code="budget_exceeded", message=message))

    async def _settle(self, of: ExecuteOrder | StopCall, key: tuple[str, int] | None, amount: Decimal) -> None:
        try:
            await self._budgets.settle(of.tenant, of.run_id, key, amount)
        except Exception as error:  # the answer was paid for and must not be lost
            reason = f"{type(error).__name__}: {error}"
            _log.warning("not settled: the estimate stays counted", run_id=str(of.run_id), reason=reason)


async def _estimate(order: ExecuteOrder, provider: AIProvider) -> Decimal | None:
    try:
        return await provider.estimate_cost(order.operation, order.payload)
    except (ProviderError, DatabaseUnavailable):
        raise
    except Exception as error:
        message = f"A bug in the provider {provider.name} ({type(error).__name__}). Nothing was called."
        raise ProviderError(Failure(code="provider_bug", message=message)) from error


def _key_of(order: ExecuteOrder) -> tuple[str, int] | None:
    """Return the key of a call's charge, or None for a call that is asked about: it was charged when it began."""
    return (order.work_id, order.attempt) if order.resume is None else None


def _cost_of(error: ProviderError | DatabaseUnavailable) -> Decimal | None:
    """Return the cost of a failed call by the provider's own word. By our estimate of what came it is not settled: more may follow."""
    received = error.failure.received if isinstance(error, ProviderError) else None
    return None if received is None or received.estimated else received.cost


def _cost_nothing(error: ProviderError | DatabaseUnavailable) -> bool:
    """Return whether a failed call is known to have cost nothing: it was not made, or refused with a status."""
    match error:
        case DatabaseUnavailable():
            return True
        case ProviderError(failure=failure):
            refused = failure.status is not None and failure.status >= 400  # noqa: PLR2004 - the class of refusals
            return not failure.uncertain and (refused or failure.code in _NEVER_BEGUN)
