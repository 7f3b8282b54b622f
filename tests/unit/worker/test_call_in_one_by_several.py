"""One order in the hands of several workers: one of them speaks, and none calls beside it."""

from __future__ import annotations

import asyncio

import pytest

from contracts.providers.call import Issue
from contracts.runs.commands import ExtendLease, RecordExecution, RecordFailure, RecordPreparation
from contracts.topics import WORK
from messaging.records import Outgoing
from provider_worker.messages.orders import order_key, read_order
from provider_worker.providers.sandbox import SandboxProvider
from testkit.worker.bench import WorkerBench
from testkit.worker.orders import a_prepare_order
from testkit.worker.providers import BrokenProvider, GatedProvider

Gated = tuple[WorkerBench, GatedProvider]


async def test_however_often_and_wherever_the_order_arrives_its_call_begins_once(gated: Gated) -> None:
    """Twice in a batch, again in the next, and in another worker on the same claims."""
    bench, provider = gated
    order, last = a_prepare_order(in_one=True), a_prepare_order(in_one=True)
    await bench.take(order, order)
    await bench.take(order)
    await provider.until_begun(1)
    other = bench.another()
    await bench.take(order, last, worker=other)
    await provider.until_begun(2)
    provider.gate.set()
    await bench.publisher.until(4)
    assert provider.begun == [f"{order.work_id}:1", f"{last.work_id}:1"]
    await other.stop(0)


class Wary(SandboxProvider):
    """Finds something in question where its fellow finds nothing."""

    async def validate_payload(self, *_: object) -> list[Issue]:
        """Find it."""
        return [Issue(path="/prompt", code="odd", message="It is odd.")]


OTHERWISE = pytest.mark.parametrize(
    "otherwise", [BrokenProvider(), Wary()], ids=["it fails", "something is in question"]
)


@OTHERWISE
async def test_two_workers_with_one_order_never_say_two_things(gated: Gated, otherwise: SandboxProvider) -> None:
    """The one that claimed it answers; the other could end a call that is under way, or ask about one that was made."""
    bench, provider = gated
    order = a_prepare_order(in_one=True)
    await bench.take(order)
    await provider.until_begun(1)
    second = WorkerBench(otherwise, claims=bench.claims, publisher=bench.publisher)
    await second.take(order)
    await second.worker.stop(1)
    provider.gate.set()
    prepared, executed = await bench.publisher.until(2)
    assert [type(prepared), type(executed)] == [RecordPreparation, RecordExecution]
    await bench.worker.stop(1)
    assert len(bench.publisher.commands) == 2


@OTHERWISE
async def test_a_worker_that_is_late_calls_nothing_when_another_has_said_something_else(
    gated: Gated, otherwise: SandboxProvider
) -> None:
    """The run has gone on by what the first one said."""
    bench, provider = gated
    order = a_prepare_order(in_one=True)
    second = WorkerBench(otherwise, claims=bench.claims, publisher=bench.publisher)
    await second.take(order)
    await bench.publisher.until(1)
    await bench.take(order)
    await bench.worker.stop(1)
    await second.worker.stop(1)
    assert (provider.begun, len(bench.publisher.commands)) == ([], 1)


async def test_a_doubted_order_whose_call_was_claimed_is_lost(gated: Gated) -> None:
    """The call may have happened: the run is told, after it heard that its order was taken."""
    bench, provider = gated
    order = a_prepare_order(in_one=True)
    await bench.take(order)
    await provider.until_begun(1)
    other = bench.another()
    await bench.take(order.model_copy(update={"doubted": True}), worker=other)
    *_, taken, lost = await bench.publisher.until(3)
    assert isinstance(taken, ExtendLease)
    assert isinstance(lost, RecordFailure)
    assert (lost.failure.code, lost.failure.uncertain) == ("worker_lost", True)
    assert len(provider.begun) == 1
    await other.stop(0)


async def test_a_doubted_order_that_nobody_claimed_is_prepared_and_its_first_worker_calls_no_more(gated: Gated) -> None:
    """The run orders the call itself; a worker that wakes up late finds it claimed."""
    bench, provider = gated
    order = a_prepare_order(in_one=True)
    await bench.take(order.model_copy(update={"doubted": True}))
    *_, prepared = await bench.publisher.until(2)
    assert isinstance(prepared, RecordPreparation)
    assert not prepared.in_one
    late = bench.another()
    await bench.take(order, worker=late)
    await late.stop(1)
    assert (provider.begun, len(bench.publisher.commands)) == ([], 2)


async def test_a_worker_that_stops_while_the_database_is_away_leaves_the_order_to_the_next(gated: Gated) -> None:
    """It was prepared in vain, and is prepared again."""
    bench, provider = gated
    bench.claims.unavailable = True
    order = a_prepare_order(in_one=True)
    await bench.take(order)
    await bench.claims.until_asked(1)
    await bench.worker.stop(1)
    (returned,) = [record for record in bench.publisher.sent if record.topic == WORK.name]
    assert read_order(returned.value or b"") == order
    assert (provider.begun, bench.publisher.commands) == ([], [])


@pytest.mark.parametrize(
    ("parameters", "is_given_back"), [({}, True), ({"temperature": 5}, False)], ids=["with a call", "in question"]
)
async def test_a_worker_that_stops_while_kafka_is_silent_gives_back_what_it_has_not_answered(
    gated: Gated, parameters: dict[str, object], *, is_given_back: bool
) -> None:
    """A call that did not begin is the next worker's to make; an answer that may have arrived is no other's to contradict."""
    bench, provider = gated
    sending = asyncio.Event()

    async def never(record: Outgoing) -> None:  # noqa: ARG001 - the port names it
        sending.set()
        await asyncio.Event().wait()

    bench.publisher.send = never  # type: ignore[method-assign]
    order = a_prepare_order(in_one=True, parameters=parameters)
    await bench.take(order)
    await sending.wait()
    await bench.worker.stop(0)
    assert await bench.claims.claim([order], "the next") == ({order_key(order)} if is_given_back else set())
    assert provider.begun == []
