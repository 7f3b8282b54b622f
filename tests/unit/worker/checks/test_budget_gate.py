"""Budgets at the call: counted before it and corrected after it, however it ends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.providers.call import Failure, Received, Spent
from contracts.providers.call_stream import StopCall
from provider_worker.budgets.model import Shortfall
from provider_worker.errors import DatabaseUnavailable
from provider_worker.execution.call import CallHandler
from provider_worker.providers.base import ProviderError
from provider_worker.testing.budgets import MemoryBudgets
from testkit.worker.bench import OwnClaim, dependencies_on

from .budget_bench import APRIL, MARCH, BudgetBench, MakeExecute, MakeSubject, PricedProvider

REFUSED = ProviderError(Failure(code="rate_limited", message="slow down", status=429, retryable=True))
GAVE_UP = ProviderError(Failure(code="timeout", message="a gateway gave up", status=504, uncertain=True))
UNCERTAIN = ProviderError(Failure(code="timeout", message="it may have happened", uncertain=True))
UNREAD = ProviderError(Failure(code="response_too_large", message="it happened"))


def _bought(cost: str | None, *, estimated: bool = False) -> ProviderError:
    came = Received(raw={}, cost=None if cost is None else Decimal(cost), estimated=estimated)
    return ProviderError(Failure(code="empty_response", message="nothing in it", received=came))


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        (Decimal("0.25"), "9.75"),
        (Decimal(3), "7"),
        (None, "9"),
        (REFUSED, "10"),
        (DatabaseUnavailable("away before the call"), "10"),
        (UNCERTAIN, "9"),
        (GAVE_UP, "9"),
        (UNREAD, "9"),
        (RuntimeError("the worker dies"), "9"),
        (_bought("0.25"), "9.75"),
        (_bought("0"), "10"),
        (_bought(None), "9"),
        (_bought("0.25", estimated=True), "9"),
    ],
    ids=[
        "less",
        "more",
        "cost unknown",
        "refused",
        "not made",
        "uncertain",
        "gateway gave up",
        "answer unread",
        "worker lost",
        "unread and paid",
        "unread and free",
        "unread, cost unknown",
        "half of it, estimated",
    ],
)
async def test_a_call_is_counted_as_estimated_until_its_cost_is_known(
    subject: MakeSubject, execute_order: MakeExecute, outcome: Decimal | Exception | None, left: str
) -> None:
    """Corrected by its cost, though it failed; a refusal cost nothing; a call that may have been paid stays counted."""
    bench, order = BudgetBench(tenant={"default": 10}), execute_order()
    await bench.check.look(subject(run_id=order.run_id, estimate=Decimal(1)))
    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome)):
            await bench.call(order, outcome)
    else:
        await bench.call(order, outcome)
    assert await bench.left(subject) == Decimal(left)


async def test_what_is_asked_about_is_counted_once(subject: MakeSubject, execute_order: MakeExecute) -> None:
    """The attempt that resumes a call buys nothing, and corrects the charge of the first."""
    bench, order = BudgetBench(tenant={"default": 10}), execute_order()
    with pytest.raises(ProviderError):
        await bench.call(order, UNCERTAIN)
    await bench.call(order.model_copy(update={"attempt": 2, "resume": "prediction-7"}), Decimal("0.50"))
    assert await bench.left(subject) == Decimal("9.50")


async def test_a_call_that_ends_in_the_next_period_is_corrected_in_its_own(
    subject: MakeSubject, execute_order: MakeExecute
) -> None:
    """Begun on 31 March, paid on 1 April: March has its cost, and April is untouched."""
    bench, order = BudgetBench(tenant={"default": 10}), execute_order()

    async with bench.gate.charge(order, PricedProvider(Decimal(9))) as charge:
        bench.at = APRIL
        charge.cost = Decimal("0.10")
    assert await bench.left(subject) == Decimal(10)
    bench.at = MARCH
    assert await bench.left(subject) == Decimal("9.90")


async def test_a_charge_whose_answer_was_lost_is_taken_back(subject: MakeSubject, execute_order: MakeExecute) -> None:
    """Nothing was called, so nothing is counted, though the database had taken the charge when the connection broke."""

    class Breaking(MemoryBudgets):
        async def charge(self, *args: Any, **how: Any) -> Shortfall | None:
            await super().charge(*args, **how)
            raise DatabaseUnavailable("the connection broke after the commit")

    bench = BudgetBench()
    bench.use(Breaking(), tenant={"default": 10})
    with pytest.raises(DatabaseUnavailable):
        await bench.call(execute_order(), Decimal(1), Decimal(9))
    assert bench.called == 0
    assert await bench.left(subject) == Decimal(10)


@pytest.mark.parametrize(("attempt", "cost", "left"), [(1, "0.25", "9.75"), (2, "0.25", "9.75"), (2, None, "9")])
async def test_a_call_that_is_ended_by_its_id_is_counted_with_what_it_cost(
    subject: MakeSubject, execute_order: MakeExecute, attempt: int, cost: str | None, left: str
) -> None:
    """Its worker is gone, or only asked about it; the worker that ends it at the vendor may learn the cost."""
    bench, order = BudgetBench(tenant={"default": 10}), execute_order()
    with pytest.raises(ProviderError):
        await bench.call(order, UNCERTAIN)
    about = order.model_dump(include={"run_id", "tenant", "work_id", "provider", "operation"})
    stop = StopCall(**about, attempt=attempt, provider_call_id="prediction-7")
    provider = PricedProvider(None, Spent(cost=None if cost is None else Decimal(cost)))
    calls = CallHandler(dependencies_on(budgets=bench.gate))
    await calls.stop(stop, provider, "a worker")
    assert await bench.left(subject) == Decimal(left)


@pytest.mark.parametrize(("resume", "cost", "left"), [("job-1", "3", "7"), ("job-1", None, "9"), (None, None, "9")])
async def test_a_call_that_is_not_made_takes_nothing_back_of_an_earlier_one(
    subject: MakeSubject, execute_order: MakeExecute, resume: str | None, cost: str | None, left: str
) -> None:
    """Its stop came before its order. An earlier attempt stays counted by its estimate, or by the vendor's own cost."""
    bench, order = BudgetBench(tenant={"default": 10}), execute_order()
    with pytest.raises(ProviderError):
        await bench.call(order, UNCERTAIN)
    again = order.model_copy(update={"attempt": 2, "resume": resume})
    provider = PricedProvider(Decimal(1), Spent(cost=None if cost is None else Decimal(cost)))
    calls = CallHandler(dependencies_on(budgets=bench.gate))
    about = again.model_dump(include={"run_id", "tenant", "work_id", "attempt", "provider", "operation"})
    await calls.stop(StopCall(**about), provider, "a worker")
    await calls.make(again, provider, OwnClaim())
    assert await bench.left(subject) == Decimal(left)


async def test_a_call_is_held_to_the_budget_as_it_is_then(execute_order: MakeExecute) -> None:
    """A gate before the call: what fitted at the review may be gone; nothing is called, and nothing is uncertain."""
    bench, order, other = BudgetBench(tenant={"default": 1}), execute_order(), execute_order()
    await bench.call(other, Decimal(1))
    with pytest.raises(ProviderError) as refused:
        await bench.call(order, Decimal(1))
    failure = refused.value.failure
    assert (failure.code, failure.uncertain, failure.retryable) == ("budget_exceeded", False, False)
    assert bench.called == 1
    bench.at = APRIL
    await bench.call(order, Decimal(1))
    assert bench.called == 2


async def test_a_call_is_held_to_the_cost_of_its_own_bytes(execute_order: MakeExecute) -> None:
    """A person may have edited a payload into a dearer one; an estimate that is not known is not made up."""
    bench = BudgetBench(tenant={"default": 1})
    for estimate, code in ((Decimal(2), "budget_exceeded"), (None, "cost_unknown"), (KeyError("x"), "provider_bug")):
        with pytest.raises(ProviderError) as refused:
            await bench.call(execute_order(), Decimal(1), estimate)
        assert (refused.value.failure.code, refused.value.failure.uncertain) == (code, False)
    assert bench.called == 0


@pytest.mark.parametrize("estimate", [Decimal(5), None])
async def test_what_a_person_approved_over_budget_is_called_and_counted(
    subject: MakeSubject, execute_order: MakeExecute, estimate: Decimal | None
) -> None:
    """The person's yes is for this call, and the others find less."""
    bench = BudgetBench(tenant={"default": 4})
    await bench.call(execute_order(over_budget_approved=True), Decimal("3.50"), estimate)
    assert await bench.left(subject) == Decimal("0.50")


async def test_a_database_that_is_away_before_the_call_prevents_it(
    subject: MakeSubject, execute_order: MakeExecute
) -> None:
    """Nothing is called without having been counted, and the run may try again."""
    bench = BudgetBench(tenant={"default": 1})
    bench.balances.unavailable = True
    with pytest.raises(DatabaseUnavailable):
        await bench.call(execute_order(), Decimal(1))
    with pytest.raises(DatabaseUnavailable):
        await bench.check.look(subject())
    assert bench.called == 0


async def test_a_database_that_is_away_after_the_call_loses_no_answer(
    subject: MakeSubject, execute_order: MakeExecute
) -> None:
    """The answer was paid for; the estimate stays counted, and the log says so."""
    bench = BudgetBench(tenant={"default": 10})

    with capture_logs() as logs:
        async with bench.gate.charge(execute_order(), PricedProvider(Decimal(1))) as charge:
            bench.balances.unavailable = True
            charge.cost = Decimal(3)
    assert [line["event"] for line in logs] == ["not settled: the estimate stays counted"]
    bench.balances.unavailable = False
    assert await bench.left(subject) == Decimal(9)
