"""The rules of budgets: their owner, amount and period, and whether an amount still fits. Pure; keeps no balances.

All money is in US dollars, in decimals. Periods are those of UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, NamedTuple, Protocol
from uuid import UUID

from pydantic import Field

from chassis.settings import Settings, parse_json_setting
from contracts.message import Message

SETTING = "SAYSO_BUDGETS"

_Money = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]


class Period(StrEnum):
    """After how long a tenant's and a user's budget is whole again."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


_FORMATS = {Period.DAY: "%Y-%m-%d", Period.MONTH: "%Y-%m", Period.YEAR: "%Y"}


class Scope(StrEnum):
    """Whose budget it is. The order is the one in which budgets are locked."""

    TENANT = "tenant"
    USER = "user"
    RUN = "run"


class Limit(NamedTuple):
    """A budget that a call counts against: `most` in `period`, which is empty where it is for good."""

    scope: Scope
    name: str
    period: str
    most: Decimal

    @property
    def whose(self) -> str:
        """Say whose budget it is, and when."""
        match self.scope:
            case Scope.TENANT:
                return f"the budget of the tenant {self.name} for {self.period}"
            case Scope.USER:
                return (
                    f"the budget of {f'the user {self.name}' if self.name else 'all without a user'} for {self.period}"
                )
            case Scope.RUN:
                return "the run's budget"


@dataclass(frozen=True, slots=True)
class Account:
    """The budgets that one run's calls count against."""

    tenant: str
    run_id: UUID
    user: str
    limits: tuple[Limit, ...]


class BudgetBalance(NamedTuple):
    """A budget's balance: the cost of calls, and the amount held for other runs' next calls."""

    spent: Decimal
    held: Decimal


class Shortfall(NamedTuple):
    """A budget that has not enough left."""

    limit: Limit
    left: Decimal

    def message(self, amount: Decimal) -> str:
        """Return the message for a person: the estimate, the budget and the rest of it."""
        return f"The call is estimated at ${amount:f}; of {self.limit.whose} ${self.left:f} of ${self.limit.most:f} is left."


def short_of(account: Account, balances: Mapping[Scope, BudgetBalance], amount: Decimal) -> Shortfall | None:
    """Return the first budget that `amount` no longer fits into, or None."""
    for limit in account.limits:
        balance = balances[limit.scope]
        left = limit.most - balance.spent - balance.held
        if amount > left:
            return Shortfall(limit, max(left, Decimal(0)))
    return None


class Budgets(Protocol):
    """The balances of all budgets. Every method is atomic and raises DatabaseUnavailable."""

    async def hold(self, account: Account, amount: Decimal, seconds: float, version: int = 0) -> Shortfall | None:
        """Hold `amount` for the run's next call, in place of its former hold, or return the budget that is short of it.

        The hold lapses by itself after `seconds`. `version` is the run's, at which the order was given that holds.
        """
        ...

    async def release(self, tenant: str, run_id: UUID, version: int) -> None:
        """Give back what was held for a run at `version` or before. Idempotent."""
        ...

    async def charge(
        self, account: Account, call: tuple[str, int], amount: Decimal, *, whatever_is_left: bool
    ) -> Shortfall | None:
        """Count `amount` as spent by a call (work_id, attempt) that is about to be made, and release the run's hold.

        Return the budget that is short of it instead, unless `whatever_is_left`.
        """
        ...

    async def settle(self, tenant: str, run_id: UUID, call: tuple[str, int] | None, amount: Decimal) -> None:
        """Correct a call's charge by its cost, on the budgets and in the period that it was charged to.

        None means the run's last call that was charged. A call that is settled, or was never charged, changes nothing.
        """
        ...


class BudgetRules(Message, extra="forbid"):
    """The operator's budgets. In `tenant` and `user`, `default` applies to every name that is not listed."""

    period: Period = Period.MONTH
    tenant: dict[str, _Money] = Field(default_factory=dict)
    user: dict[str, _Money] = Field(default_factory=dict)
    run: _Money | None = None
    hold_seconds: Annotated[float, Field(gt=0, le=86_400)] = 900

    @property
    def limit_anyone(self) -> bool:
        """Whether any budget is set."""
        return bool(self.tenant or self.user or self.run is not None)

    def account(self, tenant: str, user_id: str | None, run_id: UUID, run: Decimal | None, now: datetime) -> Account:
        """Return the budgets that a run's calls count against at `now`. `run` is the run's own budget; the smaller one counts."""
        period, user = now.strftime(_FORMATS[self.period]), user_id or ""
        allowed = [most for most in (self.run, run) if most is not None]
        found = (
            (Scope.TENANT, tenant, period, self.tenant.get(tenant, self.tenant.get("default"))),
            (Scope.USER, user, period, self.user.get(user, self.user.get("default"))),
            (Scope.RUN, str(run_id), "", min(allowed, default=None)),
        )
        limits = tuple(Limit(scope, name, period, most) for scope, name, period, most in found if most is not None)
        return Account(tenant, run_id, user, limits)


def read_budget_rules(settings: Settings) -> BudgetRules:
    """Read the operator's budgets; without the setting there are none. Raises SettingsError naming the place."""
    return BudgetRules() if settings.budgets is None else parse_json_setting(SETTING, settings.budgets, BudgetRules)
