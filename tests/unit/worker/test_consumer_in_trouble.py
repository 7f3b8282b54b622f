"""Orders that come late or malformed, storage that is unavailable, workers that stop: on ports in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contracts.runs.commands import RecordExecution, RecordFailure
from contracts.topics import WORK
from testkit.worker.bench import WorkerBench
from testkit.worker.orders import MakeExecute, MakePrepare
from testkit.worker.providers import BrokenProvider, GatedProvider


async def test_an_order_whose_deadline_has_passed_is_not_begun(
    bench: WorkerBench, execute_order: MakeExecute, prepare_order: MakePrepare
) -> None:
    """The run has asked otherwise by then. The order counts as taken."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    timely = execute_order()
    await bench.take(execute_order(deadline=past), prepare_order(deadline=past), timely)
    (said,) = await bench.publisher.until(1)
    assert said.work_id == timely.work_id
    assert bench.taken == [{0: 3}]


async def test_malformed_records_go_to_the_dead_letters_and_the_rest_is_carried_out(
    bench: WorkerBench, execute_order: MakeExecute
) -> None:
    """With the bytes as they came and the reason in headers."""
    order = execute_order()
    await bench.take(b"{not json", order, b"\xff")
    (said,) = await bench.publisher.until(1)
    assert said.work_id == order.work_id
    dead = [record for record in bench.publisher.sent if record.topic == WORK.dead]
    assert [record.value for record in dead] == [b"{not json", b"\xff"]
    assert dict(dead[1].headers)["source-offset"] == b"2"


async def test_while_the_database_is_away_the_batch_waits_and_is_then_carried_out(
    bench: WorkerBench, execute_order: MakeExecute
) -> None:
    """No order is lost, none is confirmed early."""
    bench.claims.unavailable = True
    taking = asyncio.create_task(bench.take(execute_order()))
    await bench.claims.until_asked(2)
    assert bench.taken == []
    bench.claims.unavailable = False
    await taking
    assert isinstance((await bench.publisher.until(1))[0], RecordExecution)
    assert bench.taken == [{0: 1}]


async def test_a_worker_that_stops_leaves_untaken_orders_to_the_next(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """It does not confirm orders that it has not begun, and leaves running ones to their leases."""
    bench, provider = gated
    orders = [execute_order() for _ in range(6)]
    taking = asyncio.create_task(bench.take(*orders))
    await provider.until_begun(4)
    await bench.worker.stop(0)
    await taking
    assert bench.taken == [{0: 4}]
    assert bench.publisher.commands == []


async def test_a_worker_that_stops_lets_what_runs_end(
    gated: tuple[WorkerBench, GatedProvider], execute_order: MakeExecute
) -> None:
    """Within its grace, answers still go out."""
    bench, provider = gated
    await bench.take(execute_order())
    await provider.until_begun(1)
    stopping = asyncio.create_task(bench.worker.stop(30))
    provider.gate.set()
    await stopping
    assert isinstance(bench.publisher.commands[0], RecordExecution)


async def test_a_worker_that_waits_for_the_database_stops_all_the_same(
    bench: WorkerBench, execute_order: MakeExecute
) -> None:
    """The batch is left to the next."""
    bench.claims.unavailable = True
    taking = asyncio.create_task(bench.take(execute_order()))
    await bench.claims.until_asked(1)
    await bench.worker.stop(0)
    await taking
    assert bench.taken == []


async def test_an_unknown_provider_is_a_failure_that_names_the_known(
    bench: WorkerBench, prepare_order: MakePrepare
) -> None:
    """Not retryable, with an issue at the place to mend."""
    await bench.take(prepare_order(provider="nobody"))
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordFailure)
    assert (said.failure.code, said.failure.retryable, said.actor) == ("provider_unknown", False, "worker:unknown")
    assert said.failure.issues[0].path == "/provider"
    assert "sandbox" in said.failure.message


@pytest.mark.parametrize("kind", ["prepare", "execute"])
async def test_a_provider_s_bug_is_an_answer_without_secrets(
    kind: str, prepare_order: MakePrepare, execute_order: MakeExecute
) -> None:
    """The worker lives on, the run hears `provider_bug`."""
    bench = WorkerBench(BrokenProvider())
    await bench.take(prepare_order() if kind == "prepare" else execute_order())
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordFailure)
    assert (said.failure.code, said.failure.retryable, said.failure.uncertain) == ("provider_bug", False, False)
    assert "sk-a-very-secret-key" not in said.model_dump_json()
    assert bench.failures == []


async def test_artifacts_that_cannot_be_read_now_are_a_reason_to_try_again(
    bench: WorkerBench, prepare_order: MakePrepare
) -> None:
    """Nothing was called, so a later attempt may do it."""
    bench.artifacts.unavailable = True
    await bench.take(prepare_order(attachments=("artifact:sha256:" + "0" * 64,)))
    (said,) = await bench.publisher.until(1)
    assert isinstance(said, RecordFailure)
    assert (said.failure.code, said.failure.retryable, said.failure.uncertain) == ("storage_unavailable", True, False)
