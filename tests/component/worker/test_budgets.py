"""The accounts of budgets, in memory and on a real PostgreSQL: the same promises, and on the latter many at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from provider_worker.adapters.postgres.budgets import PostgresBudgets
from provider_worker.adapters.postgres.database import Database
from provider_worker.budgets.model import Account, Budgets, Limit, Scope
from provider_worker.errors import DatabaseUnavailable
from provider_worker.testing.budgets import MemoryBudgets

LONG = 3600.0


def _account(
    tenant: str | None = None,
    user: str | None = None,
    run: str | None = None,
    *,
    run_id: UUID | None = None,
    name: str = "ann",
    period: str = "2026-03",
) -> Account:
    run_id = run_id or uuid4()
    limits = (
        Limit(Scope.TENANT, "acme", period, Decimal(tenant)) if tenant else None,
        Limit(Scope.USER, name, period, Decimal(user)) if user else None,
        Limit(Scope.RUN, str(run_id), "", Decimal(run)) if run else None,
    )
    return Account("acme", run_id, name, tuple(limit for limit in limits if limit is not None))


async def test_a_hold_is_given_back(spending: Budgets) -> None:
    """At once, and once: another run has the amount then."""
    account = _account("1.00")
    assert await spending.hold(account, Decimal("0.80"), LONG) is None
    for _ in range(2):
        await spending.release(account.tenant, account.run_id, 0)
    assert await _left(spending, account) == Decimal("1.00")


@pytest.mark.parametrize(("ended", "left"), [(9, "0.20"), (10, "1.00"), (11, "1.00")])
async def test_an_end_gives_back_what_was_held_before_it_alone(spending: Budgets, ended: int, left: str) -> None:
    """A retry of the run holds at a later version: the end that came before it, told again, takes nothing from it."""
    account = _account("1.00")
    assert await spending.hold(account, Decimal("0.10"), LONG, 4) is None
    assert await spending.hold(account, Decimal("0.80"), LONG, 10) is None
    await spending.release(account.tenant, account.run_id, ended)
    assert await _left(spending, account) == Decimal(left)


async def _left(spending: Budgets, account: Account) -> Decimal:
    """Return the rest of an account's first budget, by asking for far too much as another run."""
    other = Account(account.tenant, uuid4(), account.user, account.limits[:1])
    short = await spending.hold(other, Decimal(10**9), LONG)
    assert short is not None
    return short.left


@pytest.fixture
def postgres(database: Database) -> PostgresBudgets:
    """Give accounts on a database without any."""
    return PostgresBudgets(database)


@pytest.fixture(params=["memory", "postgres"])
def spending(request: pytest.FixtureRequest) -> Budgets:
    """Give accounts of either kind."""
    if request.param == "memory":
        return MemoryBudgets()
    found: PostgresBudgets = request.getfixturevalue("postgres")
    return found


async def test_of_fifty_runs_at_once_as_many_are_held_as_fit(postgres: PostgresBudgets) -> None:
    """A budget for ten, each asked for by a worker of its own: exactly ten fit."""
    got = await asyncio.gather(*(postgres.hold(_account("1.00", "5"), Decimal("0.10"), LONG) for _ in range(50)))
    assert [short is None for short in got].count(True) == 10
    assert {short.left for short in got if short is not None} == {Decimal("0.00")}


async def test_of_fifty_calls_at_once_as_many_are_charged_as_fit(postgres: PostgresBudgets) -> None:
    """The gate before the call is as narrow, for any hold and for any budget that is short."""
    accounts = [_account("9", "1.00", "9", name=("ann", "bob")[number % 2]) for number in range(50)]
    got = await asyncio.gather(
        *(postgres.charge(account, ("w", 1), Decimal("0.10"), whatever_is_left=False) for account in accounts)
    )
    charged = [account.user for account, short in zip(accounts, got, strict=True) if short is None]
    assert (charged.count("ann"), charged.count("bob")) == (10, 10)


async def test_money_is_counted_exactly_while_many_charge_and_settle(postgres: PostgresBudgets) -> None:
    """Nothing is lost between them, and none waits for another for ever."""

    async def one(number: int) -> None:
        account = _account("100", "50", "2", name=("ann", "bob")[number % 2])
        assert await postgres.hold(account, Decimal("0.30"), LONG) is None
        assert await postgres.charge(account, ("w", 1), Decimal("0.30"), whatever_is_left=False) is None
        await postgres.settle("acme", account.run_id, ("w", 1), Decimal("0.01") * number)

    await asyncio.gather(*(one(number) for number in range(40)))
    assert await _left(postgres, _account("100")) == Decimal(100) - Decimal("7.80")
    assert await _left(postgres, _account(user="50", name="bob")) == Decimal(50) - Decimal("4.00")


async def test_what_a_run_holds_lapses(spending: Budgets) -> None:
    """The hold of a run that was rejected or cancelled ends by itself."""
    account = _account("1")
    assert await spending.hold(account, Decimal(1), 0.0) is None
    assert await _left(spending, account) == Decimal(1)
    assert await spending.hold(account, Decimal(1), LONG) is None
    assert await _left(spending, account) == Decimal(0)


async def test_a_run_holds_once_and_its_own_hold_is_not_in_its_way(spending: Budgets) -> None:
    """Prepared again, it holds the new estimate; called, it holds nothing and is charged."""
    account = _account("1")
    for amount in ("0.80", "0.60"):
        assert await spending.hold(account, Decimal(amount), LONG) is None
    assert await _left(spending, account) == Decimal("0.40")
    assert await spending.charge(account, ("w", 1), Decimal("0.70"), whatever_is_left=False) is None
    assert await _left(spending, account) == Decimal("0.30")


async def test_a_run_that_no_longer_fits_holds_nothing(spending: Budgets) -> None:
    """Its former hold is free for others."""
    account = _account("1")
    assert await spending.hold(account, Decimal("0.80"), LONG) is None
    assert await spending.hold(account, Decimal(2), LONG) is not None
    assert await _left(spending, account) == Decimal(1)


async def test_a_call_that_is_refused_counts_nowhere(spending: Budgets) -> None:
    """All budgets have it, or none is charged."""
    account = _account("5", "1")
    short = await spending.charge(account, ("w", 1), Decimal(2), whatever_is_left=False)
    assert short is not None
    assert (short.limit.scope, short.left) == (Scope.USER, Decimal(1))
    assert await _left(spending, account) == Decimal(5)


async def test_whatever_is_left_a_call_can_be_charged(spending: Budgets) -> None:
    """A person approved it; the budget is overdrawn and says that nothing is left."""
    account = _account("1")
    assert await spending.charge(account, ("w", 1), Decimal(3), whatever_is_left=True) is None
    assert await _left(spending, account) == Decimal(0)


async def test_a_call_is_charged_and_settled_once(spending: Budgets) -> None:
    """Said twice it counts once, also where the first time left nothing for a second."""
    account = _account("1")
    for _ in range(2):
        assert await spending.charge(account, ("w", 1), Decimal(1), whatever_is_left=False) is None
    for amount in ("0.25", "0.75"):
        await spending.settle("acme", account.run_id, ("w", 1), Decimal(amount))
    assert await _left(spending, account) == Decimal("0.75")


async def test_without_a_name_the_run_s_last_call_is_meant(spending: Budgets) -> None:
    """An attempt that asks about an earlier call knows the run only; calls before that one are untouched."""
    account = _account("10")
    for attempt in (1, 2):
        assert await spending.charge(account, ("w", attempt), Decimal(1 + attempt), whatever_is_left=False) is None
    assert await spending.charge(_account("10"), ("w", 3), Decimal(1), whatever_is_left=False) is None
    for amount in (1, 0):
        await spending.settle("acme", account.run_id, None, Decimal(amount))
        assert await _left(spending, account) == Decimal(6)


async def test_what_was_not_charged_is_not_settled(spending: Budgets) -> None:
    """Neither under a name without a charge, nor for a run without a call, nor for another tenant's."""
    account = _account("10")
    assert await spending.charge(account, ("w", 1), Decimal(2), whatever_is_left=False) is None
    await spending.settle("acme", account.run_id, ("w", 2), Decimal(0))
    await spending.settle("acme", uuid4(), None, Decimal(0))
    await spending.settle("globex", account.run_id, None, Decimal(0))
    assert await _left(spending, account) == Decimal(8)


async def test_a_call_is_settled_where_it_was_charged(spending: Budgets) -> None:
    """In the period that it began in, on the budgets of then, whenever its cost becomes known."""
    account = _account("10", "5", "2")
    assert await spending.charge(account, ("w", 1), Decimal(2), whatever_is_left=False) is None
    await spending.settle("acme", account.run_id, ("w", 1), Decimal("0.50"))
    left = [await _left(spending, replace(account, limits=(limit,))) for limit in account.limits]
    assert left == [Decimal("9.50"), Decimal("4.50"), Decimal("1.50")]
    assert await _left(spending, _account("10", period="2026-04")) == Decimal(10)


async def test_a_call_that_is_settled_twice_at_once_is_settled_once(postgres_url: str) -> None:
    """The worker that makes a call and the one that ends it by its id may both know its cost at the same moment."""
    database = Database(postgres_url)
    await database.open()
    spending, account = PostgresBudgets(database), _account("10")
    assert await spending.charge(account, ("w", 1), Decimal(5), whatever_is_left=False) is None
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with database.pool.acquire() as connection, asyncio.TaskGroup() as both, connection.transaction():
        await connection.execute("select from worker.charges where run_id = $1 for update", account.run_id)
        for way in (("w", 1), None):
            both.create_task(spending.settle("acme", account.run_id, way, Decimal(1)))
        while await database.pool.fetchval(waiting) < 2:  # noqa: ASYNC110 - the database sends no event
            await asyncio.sleep(0.01)
    assert await _left(spending, account) == Decimal(9)
    database.close()


async def test_budgets_do_not_mix(spending: Budgets) -> None:
    """Tenants, users and periods each have their own."""
    account = _account("1", "1")
    assert await spending.charge(account, ("w", 1), Decimal(1), whatever_is_left=False) is None
    assert await _left(spending, _account("1", period="2026-04")) == Decimal(1)
    assert await _left(spending, _account(user="1", name="bob")) == Decimal(1)
    other = Account("globex", uuid4(), "ann", (Limit(Scope.TENANT, "globex", "2026-03", Decimal(1)),))
    assert await _left(spending, other) == Decimal(1)


async def test_only_what_no_budget_needs_is_forgotten(postgres: PostgresBudgets) -> None:
    """Holds and balances of this period stay."""
    account = _account("10")
    assert await postgres.charge(account, ("w", 1), Decimal(2), whatever_is_left=False) is None
    assert await postgres.hold(_account("10"), Decimal(3), LONG) is None
    await postgres.forget_old()
    assert await _left(postgres, account) == Decimal(5)


async def test_a_database_that_does_not_answer_is_told_as_that() -> None:
    """For every error of the driver."""
    database = Database("postgresql://nobody:x@127.0.0.1:1/none")
    await database.connect()
    with pytest.raises(DatabaseUnavailable):
        await PostgresBudgets(database).hold(_account("1"), Decimal(1), LONG)
    database.close()
