"""Preparing and calling in one order: the run's log holds the payload before the call begins, and what is in question is the run's to decide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from contracts.json_values import digest
from contracts.providers.call import Ending, Issue, Preparation
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import Order
from contracts.runs.commands import FromWorker, RecordExecution, RecordFailure, RecordPreparation, RecordStop
from messaging.records import Outgoing
from provider_worker.execution.call import CallHandler
from provider_worker.messages import answers
from provider_worker.messages.orders import call_of
from provider_worker.providers.payload_schema import PayloadSchema
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.testing.memory import MemoryPublisher
from testkit.worker.bench import WorkerBench, consumer_on, dependencies_on
from testkit.worker.orders import MakePrepare, a_prepare_order
from testkit.worker.providers import GatedProvider

from .rate_limit_bench import ONE_AT_ONCE, RateLimitBench

Gated = tuple[WorkerBench, GatedProvider]


def said(command: FromWorker) -> tuple[str, str, int]:
    """Return what an answer is, and of which attempt."""
    return command.kind, command.work_id, command.attempt


async def test_a_preparation_is_followed_by_its_call_under_the_same_order(bench: WorkerBench) -> None:
    """Two answers of one attempt; what was called is what was prepared."""
    order = a_prepare_order(in_one=True, prompt="Say it")
    await bench.take(order)
    prepared, executed = await bench.publisher.until(2)
    about = (order.work_id, order.attempt)
    assert [said(prepared), said(executed)] == [("record-preparation.v1", *about), ("record-execution.v1", *about)]
    assert isinstance(prepared, RecordPreparation)
    assert prepared.in_one
    assert isinstance(executed, RecordExecution)
    assert "Say it" in str(executed.execution.response)


async def test_the_call_begins_when_its_payload_is_written(gated: Gated) -> None:
    """Not before: whatever becomes of the worker then, the run knows what was called."""
    bench, provider = gated
    held, release = asyncio.Event(), asyncio.Event()
    send = bench.publisher.send

    async def send_slowly(record: Outgoing) -> None:
        held.set()
        await release.wait()
        await send(record)

    bench.publisher.send = send_slowly  # type: ignore[method-assign]
    order = a_prepare_order(in_one=True)
    await bench.take(order)
    await held.wait()
    await asyncio.sleep(0.05)
    assert provider.begun == []
    release.set()
    await provider.until_begun(1)
    assert [said(command) for command in bench.publisher.commands] == [
        ("record-preparation.v1", order.work_id, order.attempt)
    ]
    provider.gate.set()
    assert provider.begun == [f"{order.work_id}:{order.attempt}"]


@pytest.mark.parametrize(
    "members",
    [
        {"parameters": {"temperature": 5}},  # an issue
        {"parameters": {"unknown": 5}},  # a warning
        {"in_one": False},
    ],
)
async def test_what_is_in_question_is_the_runs_to_decide(gated: Gated, members: dict[str, object]) -> None:
    """The payload is told, and nothing is called."""
    bench, provider = gated
    await bench.take(a_prepare_order(**{"in_one": True, **members}))
    (prepared,) = await bench.publisher.until(1)
    assert isinstance(prepared, RecordPreparation)
    assert not prepared.in_one
    await bench.worker.stop(1)
    assert (provider.begun, len(bench.publisher.commands)) == ([], 1)


async def test_a_provider_that_overlooks_its_schema_is_not_called_at_once() -> None:
    """The run holds the payload to the schema before it orders the call."""

    class Careless(SandboxProvider):
        async def validate_payload(self, *_: object) -> list[object]:  # type: ignore[override]
            return []

    bench = WorkerBench(Careless())
    await bench.take(a_prepare_order(in_one=True, parameters={"temperature": 5}))
    (prepared,) = await bench.publisher.until(1)
    assert isinstance(prepared, RecordPreparation)
    assert (prepared.in_one, prepared.preparation.issues) == (False, ())
    await bench.worker.stop(0)


async def test_a_provider_whose_calls_wait_for_limits_is_not_called_at_once(
    open_benches: Callable[..., RateLimitBench],
) -> None:
    """Its run is told what the call waits for, and may take it back."""
    bench = open_benches(ONE_AT_ONCE)
    await bench.take(a_prepare_order(in_one=True, provider="scarce"))
    (prepared,) = await bench.publisher.until(1)
    assert isinstance(prepared, RecordPreparation)
    assert not prepared.in_one
    assert bench.scarce.begun == []


async def test_a_provider_without_a_schema_that_can_be_used_is_not_called_at_once() -> None:
    """The run looks at the payload before it orders the call, as on the ordinary way."""

    class Cryptic(PayloadSchema):
        def issues(self, *_: object) -> list[Issue]:
            raise RuntimeError("what does it mean?")

    class Careless(SandboxProvider):
        async def schema_for(self, *_: object) -> PayloadSchema:
            return Cryptic({})

        async def validate_payload(self, *_: object) -> list[Issue]:
            return []

    bench = WorkerBench(Careless())
    await bench.take(a_prepare_order(in_one=True))
    (answer,) = await bench.publisher.until(1)
    assert isinstance(answer, RecordPreparation)
    await bench.worker.stop(0)
    assert (answer.in_one, bench.failures) == (False, [])


async def test_a_payload_that_might_not_be_recorded_is_not_called_at_once(gated: Gated) -> None:
    """The run may refuse it: it is told first, and orders the call."""
    bench, provider = gated
    await bench.take(a_prepare_order(in_one=True, prompt="a" * (answers.MAX_IN_ONE_BYTES - 100)))
    (prepared,) = await bench.publisher.until(1)
    assert isinstance(prepared, RecordPreparation)
    assert (prepared.in_one, provider.begun) == (False, [])


async def test_a_payload_that_cannot_be_told_is_not_called(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is told that it is too large."""
    bench, provider = gated
    monkeypatch.setattr(answers, "MAX_ANSWER_BYTES", 500)
    monkeypatch.setattr(answers, "MAX_IN_ONE_BYTES", 500)
    await bench.take(a_prepare_order(in_one=True))
    (failed,) = await bench.publisher.until(1)
    assert isinstance(failed, RecordFailure)
    assert (failed.failure.code, provider.begun) == ("payload_too_large", [])


async def test_a_lease_that_ran_out_while_kafka_was_silent_is_no_licence_to_call(gated: Gated) -> None:
    """The run may have given up on the order before it heard of the call."""
    bench, provider = gated
    release, send = asyncio.Event(), bench.publisher.send

    async def send_slowly(record: Outgoing) -> None:
        await release.wait()
        await send(record)

    bench.publisher.send = send_slowly  # type: ignore[method-assign]
    until = datetime.now(UTC) + timedelta(seconds=0.2)
    await bench.take(a_prepare_order(in_one=True, deadline=until, lease_seconds=0.05))
    await asyncio.sleep(0.4)
    release.set()
    answered = await bench.publisher.until_answered(2)
    assert isinstance(answered[-1], RecordStop)
    assert (answered[-1].ending, provider.begun) == (Ending.NOT_BEGUN, [])


async def test_a_call_is_stopped_though_its_run_never_heard_of_it() -> None:
    """The run was cancelled while its payload was prepared: it names what it asked for, here a route that no provider has."""
    provider, publisher = GatedProvider(), MemoryPublisher()
    dependencies = dependencies_on(publisher, Registry([provider]))
    calls = CallHandler(dependencies)

    async def confirm(_: object) -> None:
        return

    failures: list[BaseException] = []
    worker = consumer_on(dependencies, calls, confirm=confirm, on_failure=failures.append, most=4)
    bench = WorkerBench(provider, publisher=publisher)
    before, during = a_prepare_order(in_one=True), a_prepare_order(in_one=True)
    await calls.stop(_stop_of(before), None, "x")
    await bench.take(before, during, worker=worker)
    await provider.until_begun(1)
    await calls.stop(_stop_of(during), None, "x")
    stopped = [command for command in await publisher.until(4) if isinstance(command, RecordStop)]
    assert {command.work_id: command.ending for command in stopped} == {
        before.work_id: Ending.NOT_BEGUN,
        during.work_id: Ending.STOPPED,
    }
    await worker.stop(0)
    assert failures == []


def _stop_of(order: Order) -> StopCall:
    about = {"run_id": order.run_id, "tenant": order.tenant, "work_id": order.work_id, "attempt": order.attempt}
    return StopCall(**about, provider="the cheapest", operation="")


async def test_a_call_that_fails_says_so_under_the_same_order(bench: WorkerBench, prepare_order: MakePrepare) -> None:
    """As any call does: the run retries it by an order of its own."""
    order = prepare_order(in_one=True, parameters={"fault": "auth"})
    await bench.take(order)
    prepared, failed = await bench.publisher.until(2)
    assert isinstance(prepared, RecordPreparation)
    assert isinstance(failed, RecordFailure)
    assert (said(failed)[1:], prepared.in_one) == ((order.work_id, 1), True)


def test_the_order_that_a_worker_gives_itself_is_the_one_that_the_run_would_have_given() -> None:
    """With all that the order to prepare says, and the bytes that were prepared."""
    order = a_prepare_order(in_one=True, checks=("pii",), budget="3", user_id="u", session_id="s")
    prepared = Preparation(provider="sandbox", model="m", operation="text", payload={"a": 0.5}, payload_schema={})
    call = call_of(order, prepared)
    same = ("run_id", "work_id", "attempt", "tenant", "user_id", "session_id", "deadline", "lease_seconds", "checks")
    assert all(getattr(call, name) == getattr(order, name) for name in (*same, "budget"))
    assert (call.model, call.payload, call.payload_sha256) == ("m", {"a": 0.5}, digest({"a": 0.5}))
    assert (call.doubted, call.resume, call.over_budget_approved) == (False, None, False)
