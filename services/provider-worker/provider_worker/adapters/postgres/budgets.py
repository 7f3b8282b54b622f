"""The balances of budgets in PostgreSQL. A budget is locked before it is counted on, so that two calls cannot both have its last dollar."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from provider_worker.adapters.postgres.database import QUERIES, Database
from provider_worker.budgets.model import Account, BudgetBalance, Scope, Shortfall, short_of

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class PostgresBudgets:
    """Implements `budgets.model.Budgets`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, account: Account, amount: Decimal, seconds: float, version: int = 0) -> Shortfall | None:
        """Hold `amount` for the run's next call, or return the budget that is short of it."""
        async with self._locked(account) as (connection, balances):
            short = short_of(account, balances, amount)
            if short is not None:
                await connection.execute(QUERIES["release-hold"], account.tenant, account.run_id)
            else:
                periods = [limit.period for limit in account.limits]
                about = (account.tenant, account.run_id, account.user, max(periods))
                await connection.execute(QUERIES["hold"], *about, amount, seconds, version)
            return short

    async def release(self, tenant: str, run_id: UUID, version: int) -> None:
        """Give back what was held for a run at `version` or before."""
        async with self._database.errors():
            await self._database.pool.execute(QUERIES["end-hold"], tenant, run_id, version)

    async def charge(
        self, account: Account, call: tuple[str, int], amount: Decimal, *, whatever_is_left: bool
    ) -> Shortfall | None:
        """Count `amount` as spent by a call that is about to be made, or return the budget that is short of it."""
        async with self._locked(account) as (connection, balances):
            await connection.execute(QUERIES["release-hold"], account.tenant, account.run_id)
            if await connection.fetchval(QUERIES["is-charged"], account.tenant, account.run_id, *call):
                return None  # by a worker that left before it made the call
            short = None if whatever_is_left else short_of(account, balances, amount)
            if short is None:
                tenant, *rows = _rows(account)
                await connection.execute(QUERIES["charge"], tenant, account.run_id, *call, amount, *rows)
                await connection.execute(QUERIES["count-spent"], tenant, *rows, amount)
            return short

    async def settle(self, tenant: str, run_id: UUID, call: tuple[str, int] | None, amount: Decimal) -> None:
        """Correct a call's charge by its cost, on the budgets that it was charged to."""
        work_id, attempt = call or (None, None)
        async with self._database.errors(), self._database.pool.acquire() as connection, connection.transaction():
            # The charge is locked before its budgets. Charging locks budgets only, so the two never deadlock.
            charge = await connection.fetchrow(QUERIES["settle"], tenant, run_id, work_id, attempt, amount)
            if charge is not None:
                rows = (charge["scopes"], charge["names"], charge["periods"])
                await connection.execute(QUERIES["lock-budgets"], tenant, *rows)
                await connection.execute(QUERIES["count-spent"], tenant, *rows, charge["more"])

    async def forget_old(self) -> None:
        """Delete holds, charges and budgets that are not needed any more."""
        async with self._database.errors():
            for rows in ("holds", "charges", "budgets"):
                await self._database.pool.execute(QUERIES[f"forget-{rows}"])

    @contextlib.asynccontextmanager
    async def _locked(self, account: Account) -> AsyncIterator[tuple[_Connection, dict[Scope, BudgetBalance]]]:
        async with self._database.errors(), self._database.pool.acquire() as connection, connection.transaction():
            spent = await connection.fetch(QUERIES["lock-budgets"], *_rows(account))
            # A statement of its own: it must see what others wrote before they released the lock.
            held = await connection.fetchrow(
                QUERIES["held-by-others"],
                account.tenant,
                account.run_id,
                account.user,
                [limit.period for limit in account.limits],
            )
            yield connection, _balances(spent, held)


def _rows(account: Account) -> tuple[str, list[str], list[str], list[str]]:
    limits = account.limits
    scopes, names = [limit.scope.value for limit in limits], [limit.name for limit in limits]
    return account.tenant, scopes, names, [limit.period for limit in limits]


def _balances(spent: Sequence[Any], held: Any) -> dict[Scope, BudgetBalance]:
    by_scope = {Scope.TENANT: held["by_tenant"], Scope.USER: held["by_user"], Scope.RUN: Decimal(0)}
    return {Scope(row["scope"]): BudgetBalance(row["spent"], by_scope[Scope(row["scope"])]) for row in spent}
