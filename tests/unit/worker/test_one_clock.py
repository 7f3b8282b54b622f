"""Every time that a worker reads or writes comes from one clock: a test that turns it moves all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chassis.failpoints import Failpoints
from contracts.providers.call_stream import StopCall
from contracts.runs.commands import (
    ExtendLease,
    FromWorker,
    RecordFailure,
    RecordStop,
)
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import BudgetRules
from provider_worker.execution.call import CallHandler
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.testing.budgets import MemoryBudgets
from provider_worker.testing.memory import MemoryPublisher
from testkit.worker.bench import OwnClaim, WorkerBench, dependencies_on
from testkit.worker.orders import a_prepare_order, an_execute_order
from testkit.worker.providers import BrokenProvider, GatedProvider, ResumableProvider

YEARS = timedelta(days=3650)
"""How far the clock is turned: further than any wait in a test could explain."""


def turned() -> datetime:
    """Return the time by the turned clock."""
    return datetime.now(UTC) + YEARS


TURNED = {"failpoints": Failpoints(now=turned)}


def is_turned(answer: FromWorker) -> bool:
    """Return whether an answer was written by the turned clock."""
    return answer.at > datetime.now(UTC) + YEARS / 2


async def test_every_answer_has_the_time_of_the_clock() -> None:
    """A preparation, a noted call and its execution, a failure."""
    publisher = MemoryPublisher()
    bench = WorkerBench(ResumableProvider(publisher), publisher=publisher, given=TURNED)
    deadline = turned() + timedelta(minutes=5)
    await bench.take(a_prepare_order(deadline=deadline), an_execute_order(deadline=deadline))
    answers = await bench.publisher.until(3)
    assert {answer.kind for answer in answers} == {"record-preparation.v1", "note-call.v1", "record-execution.v1"}
    broken = WorkerBench(BrokenProvider(), given=TURNED)
    await broken.take(a_prepare_order(deadline=deadline))
    answers += await broken.publisher.until(1)
    assert isinstance(answers[-1], RecordFailure)
    assert all(map(is_turned, answers))


async def test_an_order_is_late_by_the_clock() -> None:
    """Its deadline lies in the machine's future and in the turned clock's past."""
    bench = WorkerBench(SandboxProvider(), given=TURNED)
    timely = an_execute_order(deadline=turned() + timedelta(minutes=5))
    await bench.take(an_execute_order(), timely)
    (answer,) = await bench.publisher.until(1)
    assert answer.work_id == timely.work_id


async def test_a_lease_is_extended_by_the_clock() -> None:
    """The first extension comes after a third of the lease, as far from the deadline as the clock says."""
    provider = GatedProvider()
    bench = WorkerBench(provider, given=TURNED)
    await bench.take(an_execute_order(deadline=turned() + timedelta(seconds=0.3), lease_seconds=60))
    (extension,) = await bench.publisher.until(1)
    assert isinstance(extension, ExtendLease)
    assert is_turned(extension)
    provider.gate.set()
    await bench.worker.stop(30)


async def test_a_stop_is_told_with_the_time_of_the_clock() -> None:
    """Whether the call was never made, or was ended by its id."""
    publisher = MemoryPublisher()
    provider = SandboxProvider()
    calls = CallHandler(dependencies_on(publisher, Registry([provider]), **TURNED))
    order = an_execute_order()
    about = order.model_dump(include={"run_id", "tenant", "work_id", "attempt", "provider", "operation", "model"})
    await calls.stop(StopCall(**about, provider_call_id="job-1"), provider, "token")
    not_begun = await calls.make(order, provider, OwnClaim())
    answers = [*publisher.commands, not_begun]
    assert [type(answer) for answer in answers] == [RecordStop, RecordStop]
    assert all(map(is_turned, answers))


async def test_a_budget_s_period_is_that_of_the_clock() -> None:
    """A budget that is used up now is whole in the turned clock's year."""
    balances, rules = MemoryBudgets(), BudgetRules.model_validate({"period": "year", "tenant": {"default": 1}})
    order = an_execute_order(budget=None)
    now = BudgetGate(rules, balances)
    assert await now.hold(now.account_of(order), Decimal(1), order.work_id) is None
    later = BudgetGate(rules, balances, turned)
    assert later.account_of(order).limits[0].period == str(turned().year)
    other = an_execute_order()
    assert await later.hold(later.account_of(other), Decimal(1), other.work_id) is None
    assert await now.hold(now.account_of(other), Decimal(1), other.work_id) is not None
