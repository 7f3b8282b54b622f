"""A worker stops: waiting calls do not begin here, and other workers get its places."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from chassis.failpoints import utc_now
from contracts.providers.orders import ExecuteOrder, parse_order
from contracts.topics import WORK
from provider_worker.rate_limits.gcra import LEASE_SECONDS, Pace
from provider_worker.rate_limits.reservations import Rule
from testkit.worker.bench import WorkerBench
from testkit.worker.orders import an_execute_order

from .rate_limit_bench import ONE_AT_ONCE, RateLimitBench

MakeExecute = Callable[..., ExecuteOrder]


async def test_a_worker_that_stops_hands_back_what_waits(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """The order goes out again as it was, with the lease that it has by now, and another worker can begin it."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    waits = scarce_order()
    await bench.take(scarce_order(), waits)
    await bench.until_waiting(1)
    await bench.worker.stop(0.5)
    (back,) = [parse_order(record.value or b"") for record in bench.publisher.sent if record.topic == WORK.name]
    assert back.changed({"deadline": waits.deadline}) == waits
    assert await bench.claims.claim([waits], "another worker")


async def test_a_worker_that_stops_gives_its_places_back(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """At once, and not when its lease has run out."""
    bench = open_benches(ONE_AT_ONCE)
    _, _, other = bench.another()
    await bench.take(scarce_order())
    await bench.publisher.until_answered(1)
    await bench.worker.stop(5)
    await bench.take(scarce_order(), worker=other)
    async with asyncio.timeout(LEASE_SECONDS / 3):
        await bench.scarce.until_begun(2)


async def test_what_has_a_slot_already_begins_no_more_when_the_worker_stops(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """Though its moment comes while the others are given time to end."""
    bench = open_benches(Rule("acme", Pace(0.9, burst=1), places=2))
    bench.scarce.gate.clear()
    orders = [scarce_order() for _ in range(2)]
    await bench.take(*orders)
    await bench.scarce.until_begun(1)
    assert bench.reservations.accounts["acme"].holders["worker-0"].places == 2
    await bench.worker.stop(1.5)
    assert bench.scarce.begun == [f"{orders[0].work_id}:1"]
    (back,) = [parse_order(record.value or b"") for record in bench.publisher.sent if record.topic == WORK.name]
    assert back.work_id == orders[1].work_id


async def test_a_worker_that_has_stopped_has_said_that_it_holds_no_place(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """Also when the database was unavailable until just now and the worker waits before it asks again."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    await bench.take(scarce_order())
    await bench.scarce.until_begun(1)
    bench.reservations.unavailable, asked = True, bench.reservations.asked
    bench.scarce.gate.set()
    while bench.reservations.asked == asked:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0.01)
    bench.reservations.unavailable = False
    await bench.worker.stop(5)
    assert bench.reservations.accounts["acme"].holders["worker-0"].places == 0


async def test_a_call_that_was_claimed_unheard_is_another_workers_to_begin(bench: WorkerBench) -> None:
    """The claim took effect and its answer was lost; the worker that stops takes it back, and no person is asked about it."""
    order = an_execute_order()
    bench.claims.loses_answers = True
    taking = asyncio.create_task(bench.take(order))
    await bench.claims.until_asked(1)
    await bench.worker.stop(0.5)
    await taking
    assert bench.taken == [], "its offset is another worker's to take"
    bench.claims.loses_answers = False
    assert await bench.claims.claim([order], "another worker")


async def test_a_call_that_waited_for_its_moment_with_a_claim_is_another_workers_to_begin(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """A call under a limit is handed back without the claim that it may have."""
    bench, order = open_benches(ONE_AT_ONCE), scarce_order()
    bench.claims.loses_answers = True
    await bench.take(order)
    await bench.claims.until_asked(1)
    await bench.worker.stop(0.5)
    (back,) = [parse_order(record.value or b"") for record in bench.publisher.sent if record.topic == WORK.name]
    assert back.work_id == order.work_id
    bench.claims.loses_answers = False
    assert await bench.claims.claim([order], "another worker")


async def test_a_call_that_was_claimed_too_late_is_given_up(bench: WorkerBench) -> None:
    """The run has given up on it meanwhile, and orders it once more: that order must find no claim of a call that never began."""
    order = an_execute_order(deadline=utc_now() + timedelta(seconds=0.3))
    bench.claims.loses_answers = True
    taking = asyncio.create_task(bench.take(order))
    await asyncio.wait([taking], timeout=0.6)
    bench.claims.loses_answers = False
    await taking
    assert bench.publisher.sent == [], "nothing was called"
    assert await bench.claims.claim([order], "another worker")
