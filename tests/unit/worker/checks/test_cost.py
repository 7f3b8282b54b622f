"""The check `cost` before a review: an estimate that fits is held, and one that does not asks for a person."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest

from contracts.providers.orders import PrepareOrder
from provider_worker.checks.check_runner import CheckRunner, ConfiguredCheck
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts

from .budget_bench import BudgetBench, MakeExecute, MakeSubject


async def test_without_a_budget_nothing_is_asked(subject: MakeSubject, execute_order: MakeExecute) -> None:
    """A run that no budget applies to costs no statement more, nor does one of a tenant that is not limited."""
    for bench in (BudgetBench(), BudgetBench(tenant={"other": 1})):
        assert await bench.check.look(subject(estimate=None)) is None
        await bench.call(execute_order(), Decimal(5), None)
        assert (bench.called, bench.balances.asked) == (1, 0)


async def test_what_fits_is_held_and_what_does_not_asks_for_a_person(subject: MakeSubject) -> None:
    """Two runs that wait for their reviews cannot both have the last dollar; the message says whose it is."""
    bench = BudgetBench(tenant={"default": 1}, user={"default": 5})
    assert await bench.check.look(subject(estimate=Decimal("0.60"))) is None
    finding = await bench.check.look(subject(run_id=UUID(int=8), estimate=Decimal("0.60")))
    assert finding is not None
    assert (finding.check, finding.code, finding.force) == ("cost", "budget_exceeded", True)
    assert "of the budget of the tenant acme for 2026-03 $0.40 of $1 is left" in finding.message
    assert finding.data == {
        "scope": "tenant",
        "name": "acme",
        "period": "2026-03",
        "budget": "1",
        "left": "0.40",
        "estimate": "0.60",
    }


async def test_a_run_that_is_prepared_again_holds_once(subject: MakeSubject) -> None:
    """Its former hold is released."""
    bench = BudgetBench(tenant={"default": 1})
    for _ in range(3):
        assert await bench.check.look(subject(estimate=Decimal("0.60"))) is None
    assert await bench.left(subject) == Decimal("0.40")


async def test_an_unknown_cost_asks_for_a_person(subject: MakeSubject) -> None:
    """An unknown cost does not fit."""
    finding = await BudgetBench(run=1).check.look(subject(estimate=None))
    assert finding is not None
    assert (finding.code, finding.force) == ("cost_unknown", True)


async def test_a_run_s_own_budget_needs_no_setting(subject: MakeSubject, execute_order: MakeExecute) -> None:
    """A run may have a budget of its own, and its second call is held to the rest of it."""
    bench = BudgetBench()
    finding = await bench.check.look(subject(budget=Decimal("0.05")))
    assert finding is not None
    assert "of the run's budget $0.05 of $0.05 is left" in finding.message
    order = execute_order(budget=Decimal("1.50"))
    await bench.call(order, Decimal(1))
    with pytest.raises(ProviderError, match=r"budget_exceeded.*\$0.50 of \$1.50 is left. Nothing was called."):
        await bench.call(order.model_copy(update={"attempt": 2}), Decimal(1))
    assert bench.called == 1


async def test_budgets_are_checked_when_a_payload_is_prepared(prepare_order: Callable[..., PrepareOrder]) -> None:
    """Without being named among the checks."""
    bench, sandbox = BudgetBench(user={"default": "0.001"}), SandboxProvider()
    order, registry = prepare_order(user_id="ann"), Registry([sandbox])
    preparation = await Preparer(
        registry, MemoryArtifacts(), Sanitizer(), CheckRunner([ConfiguredCheck(bench.check)])
    ).prepare(order)
    (finding,) = preparation.signals.forced
    assert (finding.code, finding.data["name"], finding.data["estimate"]) == ("budget_exceeded", "ann", "0.00205")
