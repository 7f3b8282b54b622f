"""Orders are taken, kept under lease and answered, on ports in memory."""

from __future__ import annotations

import asyncio

from prometheus_client import REGISTRY

from contracts.runs.commands import ExtendLease, NoteCall, RecordExecution, RecordFailure, RecordPreparation
from provider_worker.testing.memory import MemoryPublisher
from testkit.worker.bench import WorkerBench
from testkit.worker.orders import MakeExecute, MakePrepare
from testkit.worker.providers import GatedProvider, ResumableProvider


async def test_a_prepare_order_is_answered_with_a_preparation(bench: WorkerBench, prepare_order: MakePrepare) -> None:
    """Under the run, the work and the attempt of the order, whose offset counts as taken."""
    order = prepare_order(attempt=3)
    await bench.take(order)
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordPreparation)
    assert (said.run_id, said.work_id, said.attempt, said.actor) == (order.run_id, order.work_id, 3, "worker:sandbox")
    assert bench.taken == [{0: 1}]


async def test_an_execute_order_is_answered_with_an_execution(bench: WorkerBench, execute_order: MakeExecute) -> None:
    """And its offset counts as taken."""
    await bench.take(execute_order())
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordExecution)
    assert bench.taken == [{0: 1}]


async def test_a_call_is_begun_once_however_often_and_wherever_its_order_arrives(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """Twice in a batch, again in the next, and in another worker on the same claims."""
    bench, provider = gated
    order, last = execute_order(), execute_order()
    await bench.take(order, order)
    await bench.take(order)
    await bench.take(order, last, worker=bench.another())
    await provider.until_begun(2)
    provider.gate.set()
    await bench.publisher.until(2)
    assert provider.begun == [f"{order.work_id}:1", f"{last.work_id}:1"]


async def test_a_new_attempt_is_a_new_call(bench: WorkerBench, execute_order: MakeExecute) -> None:
    """The run asked for it on purpose."""
    order = execute_order()
    await bench.take(order, order.model_copy(update={"attempt": 2}))
    assert {command.attempt for command in await bench.publisher.until(2)} == {1, 2}


async def test_a_prepare_order_that_was_just_answered_is_not_done_again(
    bench: WorkerBench, prepare_order: MakePrepare
) -> None:
    """The later order is answered, the repetition not."""
    order, last = prepare_order(), prepare_order()
    await bench.take(order, order)
    await bench.publisher.until(1)
    await bench.take(order, last)
    commands = await bench.publisher.until(2)
    assert [command.work_id for command in commands] == [order.work_id, last.work_id]


async def test_no_more_orders_run_at_once_than_allowed(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """Taking waits; a waiting order is not confirmed, and none is lost."""
    bench, provider = gated
    orders = [execute_order() for _ in range(10)]
    taking = asyncio.create_task(bench.take(*orders))
    await provider.until_begun(4)
    assert not taking.done()
    assert bench.taken == [{0: 4}]
    provider.gate.set()
    await taking
    await bench.publisher.until(10)
    assert provider.most_at_once == 4
    assert bench.taken[-1] == {0: 10}


async def test_the_orders_that_run_are_told(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """Those alone that are not answered yet."""
    bench, provider = gated
    await bench.take(execute_order(), execute_order())
    assert REGISTRY.get_sample_value("sayso_worker_orders_running") == 2
    provider.gate.set()
    await bench.worker.stop(30)
    assert REGISTRY.get_sample_value("sayso_worker_orders_running") == 0


async def test_a_slow_call_does_not_hold_up_other_runs(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute, prepare_order: MakePrepare
) -> None:
    """Orders run side by side."""
    bench, provider = gated
    await bench.take(execute_order(), prepare_order())
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordPreparation)
    assert not provider.gate.is_set()


async def test_while_an_order_runs_its_lease_is_extended(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """Again and again, and no more after the answer."""
    bench, provider = gated
    await bench.take(execute_order(lease_seconds=0.3))
    said = await bench.publisher.until(2)
    assert all(isinstance(command, ExtendLease) for command in said)
    assert said[0].command_id != said[1].command_id
    provider.gate.set()
    while not isinstance((await bench.publisher.until(1))[-1], RecordExecution):
        await bench.publisher.until(len(bench.publisher.commands) + 1)


async def test_a_call_that_can_be_asked_about_is_noted_before_it_goes_on(execute_order: MakeExecute) -> None:
    """By the provider's own name for it, under the order's attempt; its answer comes after."""
    publisher = MemoryPublisher()
    provider = ResumableProvider(publisher)
    bench = WorkerBench(provider, publisher=publisher)
    order = execute_order()
    await bench.take(order)
    noted, answer = await publisher.until(2)
    assert isinstance(noted, NoteCall)
    assert (noted.provider_call_id, noted.work_id, noted.attempt) == ("job-1", order.work_id, order.attempt)
    assert isinstance(answer, RecordExecution)
    assert provider.published == [1], "what is noted is safe before anything is waited for"


async def test_a_doubted_call_that_nobody_began_is_begun(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """It cannot have happened. That it is in hands now is said before its offset counts: a death after that is noticed soon."""
    bench, provider = gated
    await bench.take(execute_order(doubted=True, lease_seconds=3600))
    assert bench.taken == [{0: 1}]
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, ExtendLease)
    await provider.until_begun(1)
    provider.gate.set()
    assert isinstance((await bench.publisher.until(2))[-1], RecordExecution)


async def test_a_doubted_call_that_a_worker_began_is_said_to_be_lost(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """It may have happened; it is not made again."""
    bench, provider = gated
    order = execute_order(doubted=True)
    await bench.claims.claim([order], "another")
    await bench.take(order, execute_order())
    about = [one for one in await bench.publisher.until(2) if one.work_id == order.work_id]
    assert isinstance(about[0], ExtendLease)
    assert isinstance(about[-1], RecordFailure)
    assert (about[-1].failure.code, about[-1].failure.uncertain) == ("worker_lost", True)
    assert order.work_id not in "".join(provider.begun)


async def test_a_doubted_call_that_runs_here_goes_on(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """Its worker was not heard for a while, and is at it."""
    bench, provider = gated
    order = execute_order()
    await bench.take(order)
    await provider.until_begun(1)
    await bench.take(order.model_copy(update={"doubted": True}))
    provider.gate.set()
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordExecution)


async def test_an_attempt_that_is_told_of_a_call_makes_no_other(execute_order: MakeExecute) -> None:
    """It asks about the one there is."""
    publisher = MemoryPublisher()
    provider = ResumableProvider(publisher)
    bench = WorkerBench(provider, publisher=publisher)
    await bench.take(execute_order(attempt=2, resume="job-1"))
    (answer,) = await publisher.until(1)
    assert isinstance(answer, RecordExecution)
    assert provider.bought == []
