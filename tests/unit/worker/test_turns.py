"""Calls wait for their turn, on ports in memory: before they are claimed, under lease, and without holding up others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from contracts.kafka import Handed, KafkaError, Outgoing
from contracts.runs.commands import ExtendLease, RecordExecution, RecordFailure
from contracts.topics import CATALOG, WORK
from contracts.work import Capabilities, ExecuteOrder, Failure, Order, parse_order
from provider_worker.carrying import Means
from provider_worker.catalog import announce
from provider_worker.fakes.bookings import MemoryBookings
from provider_worker.fakes.memory import MemoryClaims, MemoryPost, MemoryShelves
from provider_worker.limits.booking import Rule
from provider_worker.limits.circuit import Terms
from provider_worker.limits.circuits import Circuits
from provider_worker.limits.pacing import Pace, pace_of
from provider_worker.limits.turns import Turns
from provider_worker.providers.base import Answer, Audit, Call, ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizing import Sanitizer
from provider_worker.work import Worker
from unit.worker.workbench import Record

MakeExecute = Callable[..., ExecuteOrder]

ONE_A_MINUTE = Rule("acme", pace_of(1))
ONE_AT_ONCE = Rule("acme", places=1)


class Scarce(SandboxProvider):
    """A provider with limits. `gate` holds its calls, `failure` ends them, `begun` are their keys."""

    name: ClassVar[str] = "scarce"
    tools: ClassVar[Mapping[str, str | None]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Failure | None = None
        self.begun: list[str] = []
        self._changed = asyncio.Event()

    def estimate_tokens(self, operation: str, payload: Mapping[str, Any]) -> int | None:
        """Estimate a hundred for all."""
        del operation, payload
        return 100

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Wait at the gate, then answer or fail."""
        self.begun.append(call.key)
        self._changed.set()
        await self.gate.wait()
        if self.failure is not None:
            raise ProviderError(self.failure)
        return await super().execute(payload, call)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Say that thirty tokens were used."""
        audit = await super().audit_response(operation, payload, raw)
        return Audit(audit.response, audit.schema, audit.signals, {"total_tokens": 30}, Decimal(0))

    async def until_begun(self, number: int) -> None:
        """Return once so many calls were begun."""
        while len(self.begun) < number:
            self._changed.clear()
            await self._changed.wait()


class Lossy(MemoryPost):
    """A Kafka that takes no extension of a lease."""

    async def try_to_send(self, record: Outgoing) -> None:
        """Fail."""
        raise KafkaError(record.topic)


@dataclass
class Bench:
    """A worker with a provider that has limits and one that has none."""

    rule: Rule
    post: MemoryPost = field(default_factory=MemoryPost)
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    bookings: MemoryBookings = field(default_factory=MemoryBookings)
    circuits: Circuits = field(default_factory=lambda: Circuits(Terms(failures=2, seconds=600)))
    scarce: Scarce = field(default_factory=Scarce)
    taken: list[Mapping[int, int]] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = Registry([SandboxProvider(), self.scarce])
        self.turns, self.worker = self.another()

    def another(self) -> tuple[Turns, Worker]:
        """Make a further worker on the same account."""
        turns = Turns(
            {"scarce": self.rule}, self.bookings, self.circuits, f"worker-{len(self.workers)}", self.broken.append
        )
        means = Means(self.registry, self.claims, MemoryShelves(), self.post, Sanitizer(), turns=turns)
        worker = Worker(means, confirm=self._confirm, on_broken=self.broken.append, most=2)
        self.workers.append(worker)
        return turns, worker

    async def _confirm(self, handed: Handed) -> None:
        self.taken.append(handed.offsets)

    async def take(self, *orders: Order, worker: Worker | None = None) -> None:
        """Hand a worker one batch."""
        bodies = [order.model_dump_json().encode() for order in orders]
        await (worker or self.worker).on_records([Record(body, offset) for offset, body in enumerate(bodies)])

    async def until_waiting(self, number: int) -> None:
        """Return once so many calls wait and the account was asked for them."""
        while self.turns.waiting != number or not self.bookings.asked:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)

    def failures(self) -> list[Failure]:
        """Return the failures that were told."""
        return [said.failure for said in self.post.commands if isinstance(said, RecordFailure)]


@pytest.fixture
async def open_benches() -> AsyncIterator[Callable[..., Bench]]:
    """Make benches whose workers are stopped in the end."""
    benches: list[Bench] = []

    def make(rule: Rule, **given: Any) -> Bench:
        benches.append(Bench(rule, **given))
        return benches[-1]

    yield make
    for bench in benches:
        for worker in bench.workers:
            await worker.stop(0)
        assert bench.broken == []


@pytest.fixture
def scarce_order(execute_order: MakeExecute) -> MakeExecute:
    """Make an execute order for the provider that has limits."""
    return lambda **given: execute_order(**{"provider": "scarce", **given})


async def test_a_provider_without_limits_costs_no_statement(
    open_benches: Callable[..., Bench], execute_order: MakeExecute
) -> None:
    """Beyond the one that claims its calls."""
    bench = open_benches(ONE_A_MINUTE)
    await bench.take(*(execute_order() for _ in range(2)))
    await bench.post.until(2)
    assert bench.bookings.asked == 0


async def test_what_waits_is_not_claimed_and_holds_up_nobody_else(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute, execute_order: MakeExecute
) -> None:
    """More calls wait than the worker has room for; those of another provider are carried out meanwhile."""
    bench = open_benches(ONE_A_MINUTE)
    waiting = [scarce_order() for _ in range(6)]
    others = [execute_order() for _ in range(4)]
    await bench.take(*waiting, *others)
    said = await bench.post.until(5)
    assert {command.work_id for command in said} == {order.work_id for order in [waiting[0], *others]}
    await bench.until_waiting(5)
    free = await bench.claims.claim(waiting, "somebody else")
    assert len(free) == 5


async def test_while_a_call_waits_its_lease_is_extended(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
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
        await bench.post.until(len(bench.post.commands) + 1)
    assert all(isinstance(said, ExtendLease) for said in bench.post.commands)
    bench.scarce.gate.set()
    await bench.scarce.until_begun(2)


async def test_a_call_whose_lease_could_not_be_kept_while_it_waited_is_not_begun(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """The run has asked otherwise by then."""
    bench = open_benches(ONE_AT_ONCE, post=Lossy())
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
    await bench.post.until(2)
    assert f"{lost.work_id}:1" not in bench.scarce.begun
    assert f"{last.work_id}:1" in bench.scarce.begun


async def test_a_worker_that_stops_hands_back_what_waits(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """The order goes out again as it was, with the lease that it has by now, and another worker can begin it."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.gate.clear()
    waits = scarce_order()
    await bench.take(scarce_order(), waits)
    await bench.until_waiting(1)
    await bench.worker.stop(0.5)
    (back,) = [parse_order(record.value or b"") for record in bench.post.sent if record.topic == WORK.name]
    assert back.changed({"deadline": waits.deadline}) == waits
    assert await bench.claims.claim([waits], "another worker")


async def test_while_the_database_is_away_no_limited_call_begins(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """It waits, and begins when the database is back."""
    bench = open_benches(ONE_A_MINUTE)
    bench.bookings.away = True
    await bench.take(scarce_order())
    await bench.until_waiting(1)
    assert bench.scarce.begun == []
    bench.bookings.away = False
    await bench.scarce.until_begun(1)


async def test_a_call_that_another_worker_began_meanwhile_is_passed_over_in_silence(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
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
    assert twice.work_id not in {said.work_id for said in await bench.post.until(2)}


@pytest.mark.parametrize("code", [None, "request_refused"])
async def test_a_place_is_given_back_however_the_call_ends(
    code: str | None, open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """Two workers share one place, and all calls are made."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.failure = Failure(code=code, message="no", status=400) if code else None
    _, other = bench.another()
    await bench.take(*(scarce_order() for _ in range(2)))
    await bench.take(*(scarce_order() for _ in range(2)), worker=other)
    await bench.post.until(4)
    assert len(bench.scarce.begun) == 4


async def test_a_retry_after_closes_the_account_for_every_worker(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """Nobody is given a slot before it."""
    bench = open_benches(Rule("acme", Pace(0.01, burst=5)))
    bench.scarce.failure = Failure(code="rate_limited", message="", status=429, retryable=True, retry_after=600)
    turns, other = bench.another()
    await bench.take(scarce_order())
    await bench.post.until(1)
    await bench.take(scarce_order(), worker=other)
    while not turns.waiting:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.01)
    booked = await bench.bookings.book(bench.rule, "anybody", 0, [0])
    assert booked.begins_in == []
    assert booked.again_in > 590
    assert len(bench.scarce.begun) == 1


async def test_tokens_are_counted_by_estimate_and_then_by_use(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """What was booked too much is another's."""
    bench = open_benches(Rule("acme", tokens=100))
    bench.scarce.gate.clear()
    await bench.take(scarce_order())
    await bench.scarce.until_begun(1)
    counted = bench.bookings.accounts["acme"].tokens
    assert sum(counted.values()) == 100
    bench.scarce.gate.set()
    await bench.post.until(1)
    assert sum(counted.values()) == 30


async def test_when_the_circuit_opens_what_waits_is_answered_and_nothing_is_called(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """At once and retryable: the runs come again when the provider may be up."""
    bench = open_benches(ONE_A_MINUTE, circuits=Circuits(Terms(failures=1, seconds=600)))
    bench.scarce.failure = Failure(code="connection_failed", message="down", retryable=True)
    await bench.take(*(scarce_order() for _ in range(5)))
    await bench.post.until(5)
    assert [failure.code for failure in bench.failures()] == ["connection_failed"] + ["circuit_open"] * 4
    assert len(bench.scarce.begun) == 1
    answer = bench.failures()[-1]
    assert (answer.retryable, answer.uncertain) == (True, False)
    assert 590 < (answer.retry_after or 0) <= 600


async def test_an_open_circuit_is_answered_by_the_owner_of_a_call_alone(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute, execute_order: MakeExecute
) -> None:
    """A worker that is given an order again whose call another makes must not say that nothing was called."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.failure = Failure(code="connection_failed", message="down", retryable=True)
    await bench.take(*(scarce_order() for _ in range(2)))
    await bench.post.until(2)
    made, last = scarce_order(), execute_order()
    await bench.claims.claim([made], "another worker")
    await bench.take(made, last)
    await bench.post.until(3)
    await bench.worker.stop(5)
    assert made.work_id not in {said.work_id for said in bench.post.commands}


async def test_the_circuit_guards_providers_without_limits_too(
    open_benches: Callable[..., Bench], execute_order: MakeExecute
) -> None:
    """And the catalog says so."""
    bench = open_benches(ONE_A_MINUTE)
    faults = [execute_order(parameters={"fault": "500"}) for _ in range(2)]
    await bench.take(*faults)
    await bench.post.until(2)
    assert [failure.status for failure in bench.failures()] == [500, 500]
    await bench.take(execute_order())
    await bench.post.until(3)
    assert bench.failures()[-1].code == "circuit_open"
    await announce(bench.registry, bench.post, Sanitizer(), bench.circuits)
    said = [Capabilities.model_validate_json(r.value or b"") for r in bench.post.sent if r.topic == CATALOG.name]
    assert {told.provider: told.circuit for told in said} == {"sandbox": "open", "scarce": "closed"}


async def test_a_worker_that_stops_gives_its_places_back(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """At once, and not when its lease has run out."""
    bench = open_benches(ONE_AT_ONCE)
    _, other = bench.another()
    await bench.take(scarce_order())
    await bench.post.until(1)
    await bench.worker.stop(5)
    await bench.take(scarce_order(), worker=other)
    await bench.scarce.until_begun(2)


async def test_a_call_that_comes_while_a_place_is_free_need_not_wait(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """Though others of the worker are under way and nobody asked for a slot just now."""
    bench = open_benches(Rule("acme", places=2))
    bench.scarce.gate.clear()
    for number in (1, 2):
        await bench.take(scarce_order())
        async with asyncio.timeout(5):
            await bench.scarce.until_begun(number)


async def test_more_calls_than_can_begin_soon_are_all_made_in_the_end(
    open_benches: Callable[..., Bench], scarce_order: MakeExecute
) -> None:
    """By two workers on one account, each once."""
    bench = open_benches(Rule("acme", Pace(0.002, burst=1), tokens=1_000_000, places=3))
    _, other = bench.another()
    orders = [scarce_order() for _ in range(60)]
    await asyncio.gather(bench.take(*orders[:30]), bench.take(*orders[30:], worker=other))
    said = await bench.post.until(60)
    assert all(isinstance(command, RecordExecution) for command in said)
    assert sorted(bench.scarce.begun) == sorted(f"{order.work_id}:1" for order in orders)
