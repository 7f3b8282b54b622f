"""A worker stops: waiting calls do not begin here, and other workers get its places."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contracts.providers.orders import ExecuteOrder, parse_order
from contracts.topics import WORK
from provider_worker.rate_limits.gcra import LEASE_SECONDS, Pace
from provider_worker.rate_limits.reservations import Rule

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
    await bench.publisher.until(1)
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
