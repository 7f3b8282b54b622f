"""A worker that holds as many calls for an account's limits as it may hands further ones back, and goes on taking orders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import RecordExecution, RecordStop
from messaging.records import Outgoing
from provider_worker.orders.claims import HANDED_BACK
from provider_worker.rate_limits import admission
from provider_worker.rate_limits.admission import PAUSE_SECONDS
from testkit.worker.orders import MakeExecute

from .rate_limit_bench import ONE_A_MINUTE, ONE_AT_ONCE, RateLimitBench

Benches = Callable[..., RateLimitBench]


@pytest.fixture(autouse=True)
def _room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_WAITING", 2)


async def _full(bench: RateLimitBench, scarce_order: MakeExecute) -> ExecuteOrder:
    """Fill the account: one call is begun, two wait. Return one that waits."""
    first, *others = (scarce_order() for _ in range(3))
    await bench.take(first)
    await bench.scarce.until_begun(1)
    await bench.take(*others)
    await bench.until_waiting(2)
    return others[0]


def _handed_back(bench: RateLimitBench) -> dict[str, float | None]:
    return {said.work_id: said.retry_in for said in bench.publisher.commands if isinstance(said, RecordStop)}


async def test_a_call_without_room_is_handed_back_and_orders_of_others_are_taken(
    open_benches: Benches, scarce_order: MakeExecute, execute_order: MakeExecute
) -> None:
    """Taking does not wait for an account: the provider beside it is called at once."""
    bench = open_benches(ONE_A_MINUTE)
    await _full(bench, scarce_order)
    beyond, other = scarce_order(), execute_order()
    await bench.take(beyond, other)
    assert bench.taken[-1] == {0: 2}, "both count as taken"
    await bench.publisher.until_answered(3)
    assert [said.work_id for said in bench.publisher.commands if isinstance(said, RecordExecution)][1:] == [
        other.work_id
    ]
    assert _handed_back(bench) == {beyond.work_id: PAUSE_SECONDS[0]}
    assert bench.admission.waiting == 2


async def test_a_call_that_was_handed_back_can_be_begun_by_no_worker(
    open_benches: Benches, scarce_order: MakeExecute
) -> None:
    """Its order comes again, here and elsewhere: it is claimed for good, so that it and its successor are never both called."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    await _full(bench, scarce_order)
    beyond = scarce_order()
    await bench.take(beyond)
    assert beyond.work_id in _handed_back(bench)
    _, _, elsewhere = bench.another()
    await bench.take(beyond, worker=elsewhere)
    bench.scarce.gate.set()
    await bench.publisher.until_answered(4)
    assert f"{beyond.work_id}:1" not in bench.scarce.begun


async def test_a_call_that_another_worker_has_begun_is_not_handed_back(
    open_benches: Benches, scarce_order: MakeExecute
) -> None:
    """Its order came twice: whoever began it answers."""
    bench = open_benches(ONE_A_MINUTE)
    await _full(bench, scarce_order)
    elsewhere = scarce_order()
    await bench.claims.claim([elsewhere], "another worker")
    await bench.take(elsewhere)
    assert _handed_back(bench) == {}


@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_doubted_call_is_handed_back_if_no_worker_has_begun_it(
    open_benches: Benches, scarce_order: MakeExecute, *, has_begun: bool
) -> None:
    """The claim tells: without one it has not begun, and with another worker's nobody knows."""
    bench = open_benches(ONE_A_MINUTE)
    await _full(bench, scarce_order)
    doubted = scarce_order(doubted=True)
    if has_begun:
        await bench.claims.claim([doubted], "another worker")
    await bench.take(doubted)
    assert [*_handed_back(bench)] == ([] if has_begun else [doubted.work_id])
    assert [failure.code for failure in bench.told_failures()] == (["worker_lost"] if has_begun else [])


async def test_a_call_that_goes_on_at_its_provider_is_kept(open_benches: Benches, scarce_order: MakeExecute) -> None:
    """It was begun: its run may be told what became of it, and never that nothing was spent."""
    bench = open_benches(ONE_A_MINUTE)
    await _full(bench, scarce_order)
    await bench.take(scarce_order(resume="prediction-7"))
    await bench.until_waiting(3)
    assert _handed_back(bench) == {}


@pytest.mark.parametrize("is_full", [True, False])
async def test_a_worker_that_dies_while_it_hands_back_leaves_that_to_the_next(
    open_benches: Benches, scarce_order: MakeExecute, *, is_full: bool
) -> None:
    """It had claimed the call and not said so: whoever gets the order again says it, with or without room."""
    bench = open_benches(ONE_A_MINUTE)
    if is_full:
        await _full(bench, scarce_order)
    order = scarce_order()
    await bench.claims.claim([order], HANDED_BACK)
    await bench.take(order)
    await bench.publisher.until_answered(2 if is_full else 1)
    assert order.work_id in _handed_back(bench)
    assert f"{order.work_id}:1" not in bench.scarce.begun


async def test_nothing_that_was_claimed_waits_for_what_is_handed_back(
    open_benches: Benches, scarce_order: MakeExecute, execute_order: MakeExecute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka takes no answer for a while: the call beside it is made meanwhile, under its lease."""
    bench = open_benches(ONE_A_MINUTE)
    await _full(bench, scarce_order)
    send, goes_on = bench.publisher.send, asyncio.Event()

    async def slow(record: Outgoing) -> None:
        if b"retry_in" in (record.value or b""):
            await goes_on.wait()
        await send(record)

    monkeypatch.setattr(bench.publisher, "send", slow)
    beyond, other = scarce_order(), execute_order()
    taking = asyncio.create_task(bench.take(beyond, other))
    await bench.publisher.until_answered(2)
    assert _handed_back(bench) == {}
    goes_on.set()
    await taking
    assert beyond.work_id in _handed_back(bench)


async def test_the_pause_grows_with_the_time_that_calls_wait(
    open_benches: Benches, scarce_order: MakeExecute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what the longest waiting call has waited: a quick account gets its calls soon, and a slow one is asked seldom."""
    bench = open_benches(ONE_A_MINUTE)
    await _full(bench, scarce_order)
    now = time.monotonic()
    for later, pause in ((0, PAUSE_SECONDS[0]), (40, pytest.approx(20, abs=1)), (4000, PAUSE_SECONDS[1])):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        assert bench.admission.pause("scarce") == pause
