"""Orders are taken, kept under lease and answered, on ports in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from contracts.kafka import Handed
from contracts.runs.commands import ExtendLease, NoteCall, RecordExecution, RecordFailure, RecordPreparation
from contracts.topics import WORK
from contracts.work import ExecuteOrder, Order, PrepareOrder
from provider_worker.fakes.memory import MemoryClaims, MemoryPost, MemoryShelves
from provider_worker.providers.base import Answer, Audit, Call
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizing import Sanitizer
from provider_worker.work import Worker

MakePrepare = Callable[..., PrepareOrder]
MakeExecute = Callable[..., ExecuteOrder]


class Gated(SandboxProvider):
    """A provider whose calls wait until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.changed = asyncio.Event()

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Wait at the gate, then answer."""
        self.begun.append(call.key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.changed.set()
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        return await super().execute(payload, call)

    async def until_begun(self, number: int) -> None:
        """Return once so many calls were begun."""
        while len(self.begun) < number:
            self.changed.clear()
            await self.changed.wait()


class Resumable(SandboxProvider):
    """A provider that can be asked about its calls: `bought` are those it was asked to make, `heard` what was known of each then."""

    def __init__(self, post: MemoryPost) -> None:
        super().__init__()
        self.bought: list[str] = []
        self.heard: list[int] = []
        self._post = post

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Buy, unless there is something to ask about, and say by which name."""
        if call.resume is None:
            self.bought.append(f"job-{len(self.bought) + 1}")
            await call.note(self.bought[-1])
        self.heard.append(len(self._post.commands))
        return await super().execute(payload, call)


class Broken(SandboxProvider):
    """A provider full of bugs."""

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Break."""
        raise RuntimeError("key sk-a-very-secret-key")

    async def audit_response(self, *_: Any) -> Audit:
        """Break."""
        raise RuntimeError("key sk-a-very-secret-key")


@dataclass
class Record:
    """A record as Kafka holds it."""

    value: bytes | None
    offset: int
    topic: str = WORK.name
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Bench:
    """A worker with everything around it in memory."""

    provider: SandboxProvider
    most: int = 4
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    shelves: MemoryShelves = field(default_factory=MemoryShelves)
    post: MemoryPost = field(default_factory=MemoryPost)
    taken: list[Mapping[int, int]] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = self.another()

    def another(self) -> Worker:
        """Make a further worker on the same claims and topics."""
        return Worker(
            Registry([self.provider]),
            self.claims,
            self.shelves,
            self.post,
            Sanitizer(["sk-a-very-secret-key"]),
            confirm=self._confirm,
            on_broken=self.broken.append,
            most=self.most,
        )

    async def _confirm(self, handed: Handed) -> None:
        self.taken.append(handed.offsets)

    async def take(self, *orders: Order | bytes, worker: Worker | None = None) -> None:
        """Hand the worker one batch."""
        bodies = [order if isinstance(order, bytes) else order.model_dump_json().encode() for order in orders]
        await (worker or self.worker).on_records([Record(body, offset) for offset, body in enumerate(bodies)])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Give a worker with a sandbox."""
    bench = Bench(SandboxProvider())
    yield bench
    await bench.worker.stop(0)
    assert bench.broken == []


@pytest.fixture
async def gated() -> AsyncIterator[tuple[Bench, Gated]]:
    """Give a worker whose calls wait at a gate."""
    provider = Gated()
    bench = Bench(provider)
    yield bench, provider
    await bench.worker.stop(0)
    assert bench.broken == []


async def test_a_prepare_order_is_answered_with_a_preparation(bench: Bench, prepare_order: MakePrepare) -> None:
    """Under the run, the work and the attempt of the order, whose offset counts as taken."""
    order = prepare_order(attempt=3)
    await bench.take(order)
    (said,) = await bench.post.until(1)
    assert isinstance(said, RecordPreparation)
    assert (said.run_id, said.work_id, said.attempt, said.actor) == (order.run_id, order.work_id, 3, "worker:sandbox")
    assert bench.taken == [{0: 1}]


async def test_an_execute_order_is_answered_with_an_execution(bench: Bench, execute_order: MakeExecute) -> None:
    """And its offset counts as taken."""
    await bench.take(execute_order())
    (said,) = await bench.post.until(1)
    assert isinstance(said, RecordExecution)
    assert bench.taken == [{0: 1}]


async def test_a_call_is_begun_once_however_often_and_wherever_its_order_arrives(
    gated: tuple[Bench, Gated], execute_order: MakeExecute
) -> None:
    """Twice in a batch, again in the next, and in another worker on the same claims."""
    bench, provider = gated
    order, last = execute_order(), execute_order()
    await bench.take(order, order)
    await bench.take(order)
    await bench.take(order, last, worker=bench.another())
    await provider.until_begun(2)
    provider.gate.set()
    await bench.post.until(2)
    assert provider.begun == [f"{order.work_id}:1", f"{last.work_id}:1"]


async def test_a_new_attempt_is_a_new_call(bench: Bench, execute_order: MakeExecute) -> None:
    """The run asked for it on purpose."""
    order = execute_order()
    await bench.take(order, order.model_copy(update={"attempt": 2}))
    assert {command.attempt for command in await bench.post.until(2)} == {1, 2}


async def test_a_prepare_order_that_was_just_answered_is_not_done_again(
    bench: Bench, prepare_order: MakePrepare
) -> None:
    """The later order is answered, the repetition not."""
    order, last = prepare_order(), prepare_order()
    await bench.take(order, order)
    await bench.post.until(1)
    await bench.take(order, last)
    commands = await bench.post.until(2)
    assert [command.work_id for command in commands] == [order.work_id, last.work_id]


async def test_no_more_orders_run_at_once_than_allowed(gated: tuple[Bench, Gated], execute_order: MakeExecute) -> None:
    """Taking waits; what waits is not confirmed, and nothing is lost."""
    bench, provider = gated
    orders = [execute_order() for _ in range(10)]
    taking = asyncio.create_task(bench.take(*orders))
    await provider.until_begun(4)
    assert not taking.done()
    assert bench.taken == [{0: 4}]
    provider.gate.set()
    await taking
    await bench.post.until(10)
    assert provider.most_at_once == 4
    assert bench.taken[-1] == {0: 10}


async def test_the_orders_that_run_are_told(gated: tuple[Bench, Gated], execute_order: MakeExecute) -> None:
    """Those alone that are not answered yet."""
    bench, provider = gated
    await bench.take(execute_order(), execute_order())
    assert REGISTRY.get_sample_value("countersign_worker_orders_running") == 2
    provider.gate.set()
    await bench.worker.stop(30)
    assert REGISTRY.get_sample_value("countersign_worker_orders_running") == 0


async def test_a_slow_call_does_not_hold_up_other_runs(
    gated: tuple[Bench, Gated], execute_order: MakeExecute, prepare_order: MakePrepare
) -> None:
    """Orders run side by side."""
    bench, provider = gated
    await bench.take(execute_order(), prepare_order())
    (said,) = await bench.post.until(1)
    assert isinstance(said, RecordPreparation)
    assert not provider.gate.is_set()


async def test_while_an_order_runs_its_lease_is_extended(
    gated: tuple[Bench, Gated], execute_order: MakeExecute
) -> None:
    """Again and again, and no more after the answer."""
    bench, provider = gated
    await bench.take(execute_order(lease_seconds=0.3))
    said = await bench.post.until(2)
    assert all(isinstance(command, ExtendLease) for command in said)
    assert said[0].command_id != said[1].command_id
    provider.gate.set()
    while not isinstance((await bench.post.until(1))[-1], RecordExecution):
        await bench.post.until(len(bench.post.commands) + 1)


async def test_a_call_that_can_be_asked_about_is_noted_before_it_goes_on(execute_order: MakeExecute) -> None:
    """By the provider's own name for it, under the order's attempt; its answer comes after."""
    post = MemoryPost()
    provider = Resumable(post)
    bench = Bench(provider, post=post)
    order = execute_order()
    await bench.take(order)
    noted, answer = await post.until(2)
    assert isinstance(noted, NoteCall)
    assert (noted.provider_call_id, noted.work_id, noted.attempt) == ("job-1", order.work_id, order.attempt)
    assert isinstance(answer, RecordExecution)
    assert provider.heard == [1], "what is noted is safe before anything is waited for"


async def test_an_attempt_that_is_told_of_a_call_makes_no_other(execute_order: MakeExecute) -> None:
    """A20: it asks about the one there is."""
    post = MemoryPost()
    provider = Resumable(post)
    bench = Bench(provider, post=post)
    await bench.take(execute_order(attempt=2, resume="job-1"))
    (answer,) = await post.until(1)
    assert isinstance(answer, RecordExecution)
    assert provider.bought == []


async def test_an_order_whose_deadline_has_passed_is_not_begun(
    bench: Bench, execute_order: MakeExecute, prepare_order: MakePrepare
) -> None:
    """The run has asked otherwise by then. The order counts as taken."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    timely = execute_order()
    await bench.take(execute_order(deadline=past), prepare_order(deadline=past), timely)
    (said,) = await bench.post.until(1)
    assert said.work_id == timely.work_id
    assert bench.taken == [{0: 3}]


async def test_malformed_records_go_to_the_dead_letters_and_the_rest_is_carried_out(
    bench: Bench, execute_order: MakeExecute
) -> None:
    """With the bytes as they came and the reason in headers."""
    order = execute_order()
    await bench.take(b"{not json", order, b"\xff")
    (said,) = await bench.post.until(1)
    assert said.work_id == order.work_id
    dead = [record for record in bench.post.sent if record.topic == WORK.dead]
    assert [record.value for record in dead] == [b"{not json", b"\xff"]
    assert dict(dead[1].headers)["source-offset"] == b"2"


async def test_while_the_database_is_away_the_batch_waits_and_is_then_carried_out(
    bench: Bench, execute_order: MakeExecute
) -> None:
    """No order is lost, none is confirmed early."""
    bench.claims.away = True
    taking = asyncio.create_task(bench.take(execute_order()))
    await bench.claims.until_asked(2)
    assert bench.taken == []
    bench.claims.away = False
    await taking
    assert isinstance((await bench.post.until(1))[0], RecordExecution)
    assert bench.taken == [{0: 1}]


async def test_a_worker_that_stops_leaves_untaken_orders_to_the_next(
    gated: tuple[Bench, Gated], execute_order: MakeExecute
) -> None:
    """What it has not begun it does not confirm; what runs is left to its lease."""
    bench, provider = gated
    orders = [execute_order() for _ in range(6)]
    taking = asyncio.create_task(bench.take(*orders))
    await provider.until_begun(4)
    await bench.worker.stop(0)
    await taking
    assert bench.taken == [{0: 4}]
    assert bench.post.commands == []


async def test_a_worker_that_stops_lets_what_runs_end(gated: tuple[Bench, Gated], execute_order: MakeExecute) -> None:
    """Within its grace, answers still go out."""
    bench, provider = gated
    await bench.take(execute_order())
    await provider.until_begun(1)
    stopping = asyncio.create_task(bench.worker.stop(30))
    provider.gate.set()
    await stopping
    assert isinstance(bench.post.commands[0], RecordExecution)


async def test_a_worker_that_waits_for_the_database_stops_all_the_same(
    bench: Bench, execute_order: MakeExecute
) -> None:
    """The batch is left to the next."""
    bench.claims.away = True
    taking = asyncio.create_task(bench.take(execute_order()))
    await bench.claims.until_asked(1)
    await bench.worker.stop(0)
    await taking
    assert bench.taken == []


async def test_an_unknown_provider_is_a_failure_that_names_the_known(bench: Bench, prepare_order: MakePrepare) -> None:
    """Not retryable, with an issue at the place to mend."""
    await bench.take(prepare_order(provider="nobody"))
    (said,) = await bench.post.until(1)
    assert isinstance(said, RecordFailure)
    assert (said.failure.code, said.failure.retryable, said.actor) == ("provider_unknown", False, "worker:unknown")
    assert said.failure.issues[0].path == "/provider"
    assert "sandbox" in said.failure.message


@pytest.mark.parametrize("kind", ["prepare", "execute"])
async def test_a_provider_s_bug_is_an_answer_without_secrets(
    kind: str, prepare_order: MakePrepare, execute_order: MakeExecute
) -> None:
    """The worker lives on, the run hears `provider_bug`."""
    bench = Bench(Broken())
    await bench.take(prepare_order() if kind == "prepare" else execute_order())
    (said,) = await bench.post.until(1)
    assert isinstance(said, RecordFailure)
    assert (said.failure.code, said.failure.retryable, said.failure.uncertain) == ("provider_bug", False, False)
    assert "sk-a-very-secret-key" not in said.model_dump_json()
    assert bench.broken == []


async def test_artifacts_that_cannot_be_read_now_are_a_reason_to_try_again(
    bench: Bench, prepare_order: MakePrepare
) -> None:
    """Nothing was called, so a later attempt may do it."""
    bench.shelves.away = True
    await bench.take(prepare_order(attachments=("artifact:sha256:" + "0" * 64,)))
    (said,) = await bench.post.until(1)
    assert isinstance(said, RecordFailure)
    assert (said.failure.code, said.failure.retryable, said.failure.uncertain) == ("storage_unavailable", True, False)
