"""The budgets of a run's calls, their periods, and the rest of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.settings import Settings, SettingsError
from provider_worker.budgets.model import Account, BudgetBalance, BudgetRules, Limit, Scope, read_budget_rules, short_of

NOW = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
RUN = UUID(int=7)
_money = st.decimals(0, 100, places=2)


def _budgets(**written: Any) -> BudgetRules:
    return read_budget_rules(Settings(_env_file=None, budgets=json.dumps(written)))


def _limits(budgets: BudgetRules, user: str | None = "ann", run: str | None = None) -> list[tuple[str, str, str, str]]:
    account = budgets.account("acme", user, RUN, None if run is None else Decimal(run), NOW)
    return [(limit.scope.value, limit.name, limit.period, f"{limit.most:f}") for limit in account.limits]


def test_without_a_setting_nothing_is_limited() -> None:
    """A run without any budget counts against nothing."""
    budgets = read_budget_rules(Settings(_env_file=None))
    assert (budgets.limit_anyone, _limits(budgets)) == (False, [])


def test_a_tenant_a_user_and_a_run_each_have_their_own() -> None:
    """In the order in which they are locked."""
    budgets = _budgets(tenant={"default": "100.00"}, user={"default": "10.00"}, run="1.00")
    assert _limits(budgets) == [
        ("tenant", "acme", "2026-03", "100.00"),
        ("user", "ann", "2026-03", "10.00"),
        ("run", str(RUN), "", "1.00"),
    ]


def test_who_is_named_has_that_and_not_the_default() -> None:
    """Who is not named, where there is no default, is not limited."""
    budgets = _budgets(tenant={"default": "100", "acme": "5000"}, user={"bob": "1"})
    assert _limits(budgets) == [("tenant", "acme", "2026-03", "5000")]


def test_runs_without_a_user_share_one_budget() -> None:
    """Leaving the user out is no way around it."""
    assert _limits(_budgets(user={"default": "10"}), user=None) == [("user", "", "2026-03", "10")]


@pytest.mark.parametrize(
    ("operator", "own", "counts"), [("1", None, "1"), (None, "2", "2"), ("1", "2", "1"), ("2", "1", "1")]
)
def test_of_two_budgets_of_a_run_the_smaller_counts(operator: str | None, own: str | None, counts: str) -> None:
    """A run cannot allow itself more than the operator does."""
    assert _limits(_budgets(run=operator), run=own) == [("run", str(RUN), "", counts)]


@pytest.mark.parametrize(("period", "named"), [("day", "2026-03-02"), ("month", "2026-03"), ("year", "2026")])
def test_a_budget_is_whole_again_with_the_next_period(period: str, named: str) -> None:
    """By the calendar of UTC."""
    assert _limits(_budgets(period=period, tenant={"default": "1"})) == [("tenant", "acme", named, "1")]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nine", "SAYSO_BUDGETS: Invalid JSON"),
        ('{"period": "week"}', "SAYSO_BUDGETS: /period: must be 'day', 'month' or 'year'"),
        ('{"tenant": {"acme": "-1"}}', "SAYSO_BUDGETS: /tenant/acme: must be at least 0"),
        ('{"run": "a lot"}', "SAYSO_BUDGETS: /run: must be a valid decimal"),
        ('{"tenants": {}}', "SAYSO_BUDGETS: /tenants: no such name; did you mean `tenant`?"),
    ],
)
def test_what_makes_no_sense_stops_the_start_with_its_place(written: str, said: str) -> None:
    """One line that names the setting and the path."""
    with pytest.raises(SettingsError) as refused:
        read_budget_rules(Settings(_env_file=None, budgets=written))
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@given(most=_money, spent=_money, held=_money, amount=_money)
def test_an_amount_fits_exactly_into_what_is_neither_spent_nor_held(
    most: Decimal, spent: Decimal, held: Decimal, amount: Decimal
) -> None:
    """To the last cent, and the rest is never negative."""
    account = Account("acme", RUN, "ann", (Limit(Scope.TENANT, "acme", "2026-03", most),))
    short = short_of(account, {Scope.TENANT: BudgetBalance(spent, held)}, amount)
    assert (short is None) == (spent + held + amount <= most)
    assert short is None or short.left == max(most - spent - held, 0)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (
            Limit(Scope.TENANT, "acme", "2026-03", Decimal(5)),
            "of the budget of the tenant acme for 2026-03 $0.01 of $5 is",
        ),
        (
            Limit(Scope.USER, "ann", "2026-03", Decimal(5)),
            "of the budget of the user ann for 2026-03 $0.01 of $5 is left.",
        ),
        (
            Limit(Scope.USER, "", "2026-03", Decimal(5)),
            "of the budget of all without a user for 2026-03 $0.01 of $5 is",
        ),
        (Limit(Scope.RUN, str(RUN), "", Decimal(5)), "of the run's budget $0.01 of $5 is left."),
    ],
)
def test_a_shortfall_says_whose_budget_it_is_and_what_is_left(limit: Limit, said: str) -> None:
    """In words for the person who is asked."""
    account = Account("acme", RUN, "ann", (limit,))
    short = short_of(account, {limit.scope: BudgetBalance(Decimal("4.99"), Decimal(0))}, Decimal("0.20"))
    assert short is not None
    assert said in short.message(Decimal("0.20"))
    assert "$0.20" in short.message(Decimal("0.20"))
