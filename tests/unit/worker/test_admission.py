"""Calls wait for their turn, on ports in memory: before they are claimed, under lease, and without holding up others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from contracts.providers.call import Ending, Failure
from contracts.providers.call_stream import HoldCall, StopCall
from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import ExtendLease, RecordExecution, RecordStop
from messaging.errors import KafkaError
from messaging.records import Outgoing
from provider_worker.orders.lease import Lease
from provider_worker.rate_limits.gcra import Pace
from provider_worker.rate_limits.reservations import Rule
from provider_worker.testing.memory import MemoryPublisher

from .rate_limit_bench import ONE_A_MINUTE, ONE_AT_ONCE, RateLimitBench

MakeExecute = Callable[..., ExecuteOrder]


class Lossy(MemoryPublisher):
    """A Kafka that takes no extension of a lease."""

    async def try_to_send(self, record: Outgoing) -> None:
        """Fail."""
        raise KafkaError(record.topic)


async def test_a_provider_without_limits_costs_no_statement(
    open_benches: Callable[..., RateLimitBench], execute_order: MakeExecute
) -> None:
    """Beyond the one that claims its calls."""
    bench = open_benches(ONE_A_MINUTE)
    await bench.take(*(execute_order() for _ in range(2)))
    await bench.publisher.until_answered(2)
    assert bench.reservations.asked == 0


async def test_what_waits_is_not_claimed_and_holds_up_nobody_else(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute, execute_order: MakeExecute
) -> None:
    """More calls wait than the worker has room for; those of another provider are carried out meanwhile."""
    bench = open_benches(ONE_A_MINUTE)
    waiting = [scarce_order() for _ in range(6)]
    others = [execute_order() for _ in range(4)]
    await bench.take(*waiting, *others)
    said = await bench.publisher.until_answered(5)
    assert {command.work_id for command in said} == {order.work_id for order in [waiting[0], *others]}
    await bench.until_waiting(5)
    free = await bench.claims.claim(waiting, "somebody else")
    assert len(free) == 5


async def test_while_a_call_waits_its_lease_is_extended(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """And it is not late because of the wait: it begins after the deadline that it came with."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    deadline = datetime.now(UTC) + timedelta(seconds=0.6)
    late = scarce_order(deadline=deadline, lease_seconds=0.6)
    await bench.take(scarce_order())
    await bench.scarce.until_begun(1)
    await bench.take(late)
    while datetime.now(UTC) <= deadline:
        await bench.publisher.until(len(bench.publisher.commands) + 1)
    assert all(isinstance(said, ExtendLease) for said in bench.publisher.commands)
    bench.scarce.gate.set()
    await bench.scarce.until_begun(2)


async def test_a_call_whose_lease_could_not_be_kept_while_it_waited_is_not_begun(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """The run has asked otherwise by then."""
    bench = open_benches(ONE_AT_ONCE, publisher=Lossy())
    bench.scarce.gate.clear()
    await bench.take(scarce_order())
    await bench.scarce.until_begun(1)
    lost = scarce_order(deadline=datetime.now(UTC) + timedelta(seconds=0.2), lease_seconds=0.2)
    await bench.take(lost)
    while datetime.now(UTC) <= lost.deadline:  # noqa: ASYNC110 - a time is what this is about
        await asyncio.sleep(0.05)
    last = scarce_order()
    await bench.take(last)
    bench.scarce.gate.set()
    await bench.publisher.until_answered(2)
    assert f"{lost.work_id}:1" not in bench.scarce.begun
    assert f"{last.work_id}:1" in bench.scarce.begun


async def test_a_call_that_another_worker_began_meanwhile_is_passed_over_in_silence(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """It came twice; its place goes to the next."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    twice, last = scarce_order(), scarce_order()
    await bench.take(scarce_order(), twice, last)
    await bench.until_waiting(2)
    await bench.claims.claim([twice], "another worker")
    bench.scarce.gate.set()
    await bench.scarce.until_begun(2)
    assert bench.scarce.begun[-1] == f"{last.work_id}:1"
    assert twice.work_id not in {said.work_id for said in await bench.publisher.until_answered(2)}


@pytest.mark.parametrize("code", [None, "request_refused"])
async def test_a_place_is_given_back_however_the_call_ends(
    code: str | None, open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """Two workers share one place, and all calls are made."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.failure = Failure(code=code, message="no", status=400) if code else None
    _, _, other = bench.another()
    await bench.take(*(scarce_order() for _ in range(2)))
    await bench.take(*(scarce_order() for _ in range(2)), worker=other)
    await bench.publisher.until_answered(4)
    assert len(bench.scarce.begun) == 4


async def test_a_call_that_is_cancelled_while_it_waits_leaves_its_slot_to_the_next(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """No slot is given for it, and it says that nothing was spent."""
    bench = open_benches(Rule("acme", Pace(1.5, burst=1)))
    first, cancelled, last = (scarce_order() for _ in range(3))
    await bench.take(first, cancelled, last)
    await bench.scarce.until_begun(1)
    about = cancelled.model_dump(include={"run_id", "tenant", "work_id", "attempt", "provider", "operation"})
    await bench.calls.stop(StopCall(**about), bench.scarce, "t")
    await bench.scarce.until_begun(2)
    assert bench.scarce.begun == [f"{first.work_id}:1", f"{last.work_id}:1"]
    assert bench.reservations.given == 2
    (ended,) = [said for said in await bench.publisher.until_answered(3) if isinstance(said, RecordStop)]
    assert (ended.work_id, ended.ending) == (cancelled.work_id, Ending.NOT_BEGUN)


async def test_a_call_of_a_paused_run_that_waits_for_its_slot_is_given_back(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """Its slot goes to the next; a call that has its slot is not touched."""
    bench = open_benches(Rule("acme", Pace(1.5, burst=1)))
    first, held, last = (scarce_order() for _ in range(3))
    await bench.take(first, held, last)
    await bench.scarce.until_begun(1)
    for order in (first, held):
        bench.calls.hold(HoldCall(**order.model_dump(include={"run_id", "tenant", "work_id", "attempt", "provider"})))
    await bench.scarce.until_begun(2)
    assert bench.scarce.begun == [f"{first.work_id}:1", f"{last.work_id}:1"]
    (ended,) = [said for said in await bench.publisher.until_answered(3) if isinstance(said, RecordStop)]
    assert (ended.work_id, ended.ending) == (held.work_id, Ending.NOT_BEGUN)


async def test_a_run_is_told_that_its_call_waits_for_a_limit_and_that_it_waits_no_longer(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """Before the lease needs it, and once more when the call begins; a call that need not wait says nothing."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    first, waiting = scarce_order(), scarce_order()
    await bench.take(first)
    await bench.scarce.until_begun(1)
    await bench.take(waiting)
    (told,) = await bench.publisher.until(1)
    assert isinstance(told, ExtendLease)
    assert (told.work_id, told.waits_for) == (waiting.work_id, "limit")
    bench.scarce.gate.set()
    bench.scarce.gate.clear()  # the first call ends, the second one begins and stays
    said = [said for said in await bench.publisher.until(3) if isinstance(said, ExtendLease)]
    assert [(said.work_id, said.waits_for) for said in said] == [(waiting.work_id, "limit"), (waiting.work_id, None)]
    bench.scarce.gate.set()


class Slow(MemoryPublisher):
    """A Kafka that takes an extension of a lease only while `flows` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.flows = asyncio.Event()

    async def try_to_send(self, record: Outgoing) -> None:
        """Wait."""
        self.asked.set()
        await self.flows.wait()
        await super().try_to_send(record)


async def test_a_wait_that_ends_while_the_run_is_told_of_it_is_told_as_ended_at_once(
    scarce_order: MakeExecute,
) -> None:
    """And not with the next extension of the lease, 20 s later."""
    publisher = Slow()
    with Lease(scarce_order(lease_seconds=60.0), "acme", publisher, lambda: datetime.now(UTC)) as lease:
        lease.waits_for("limit")
        await publisher.asked.wait()
        lease.waits_for(None)
        publisher.flows.set()
        async with asyncio.timeout(10):
            said = await publisher.until(2)
    assert [command.waits_for for command in said if isinstance(command, ExtendLease)] == ["limit", None]


async def test_tokens_are_counted_by_estimate_and_then_by_use(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """The surplus of the estimate goes to other calls."""
    bench = open_benches(Rule("acme", tokens=100))
    bench.scarce.gate.clear()
    await bench.take(scarce_order())
    await bench.scarce.until_begun(1)
    counted = bench.reservations.accounts["acme"].tokens
    assert sum(counted.values()) == 100
    bench.scarce.gate.set()
    await bench.publisher.until_answered(1)
    assert sum(counted.values()) == 30


async def test_a_call_that_comes_while_a_place_is_free_need_not_wait(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """Though other calls of the worker are under way and no call asked for a slot just now."""
    bench = open_benches(Rule("acme", places=2))
    bench.scarce.gate.clear()
    for number in (1, 2):
        await bench.take(scarce_order())
        async with asyncio.timeout(5):
            await bench.scarce.until_begun(number)


async def test_more_calls_than_can_begin_soon_are_all_made_in_the_end(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """By two workers on one account, each once."""
    bench = open_benches(Rule("acme", Pace(0.002, burst=1), tokens=1_000_000, places=3))
    _, _, other = bench.another()
    orders = [scarce_order() for _ in range(60)]
    await asyncio.gather(bench.take(*orders[:30]), bench.take(*orders[30:], worker=other))
    said = await bench.publisher.until_answered(60)
    assert all(isinstance(command, RecordExecution) for command in said)
    assert sorted(bench.scarce.begun) == sorted(f"{order.work_id}:1" for order in orders)
