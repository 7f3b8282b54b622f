"""A call whose run is cancelled ends, here or at the vendor, and its cost is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.providers.call import Ending, Spent
from contracts.providers.call_stream import AnyStop, HoldCall, ReleaseBudget, StopCall
from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import FromWorker, RecordExecution, RecordStop
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import BudgetRules
from provider_worker.execution.call import CallHandler
from provider_worker.execution.stop_listener import StopListener
from provider_worker.providers.base import Answer, Call, ProviderError
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.testing.budgets import MemoryBudgets
from provider_worker.testing.memory import MemoryClaims, MemoryPublisher
from testkit.worker.bench import OwnClaim, dependencies_on
from testkit.worker.orders import an_execute_order

MakeExecute = Callable[..., ExecuteOrder]


class Talking(SandboxProvider):
    """A provider whose calls send text and then wait until the gate opens. It remembers the calls that it is asked to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.talking = asyncio.Event()
        self.closed = asyncio.Event()
        self.stopped: list[Unfinished] = []

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Say something, use something, wait."""
        if payload["prompt"] == "note":
            await call.note("job-1")
        call.progress.say("It is ")
        call.progress.use({"input_tokens": 7})
        self.talking.set()
        try:
            await self.gate.wait()
        finally:
            self.closed.set()
        return await super().execute(payload, call)

    async def stop(self, call: Unfinished) -> Spent:
        """Remember, and state a price."""
        self.stopped.append(call)
        return Spent(usage={"note": "key sk-a-very-secret-key"}, cost=Decimal("0.0200"))


class Deaf(Talking):
    """A provider that breaks when it is told to stop."""

    async def stop(self, _: Unfinished) -> Spent:
        """Break."""
        raise RuntimeError("no")


class Scene:
    """One worker's calls, and the claims that it shares with others."""

    def __init__(self, provider: Talking, claims: MemoryClaims) -> None:
        self.provider = provider
        self.publisher = MemoryPublisher()
        self.failures: list[BaseException] = []
        self.calls = CallHandler(dependencies_on(self.publisher, claims=claims))
        self.balances = MemoryBudgets()
        self.budgets = BudgetGate(BudgetRules.model_validate({"tenant": {"default": 10}}), self.balances)
        self.stopping = StopListener(Registry([provider]), self.calls, self.budgets, self.failures.append)

    async def told(self, *stops: AnyStop | bytes) -> None:
        """Hand the worker stops, and return when it has carried them out."""
        bodies = [stop if isinstance(stop, bytes) else stop.model_dump_json().encode() for stop in stops]
        await self.stopping.on_records([SimpleNamespace(value=body, offset=n) for n, body in enumerate(bodies)])
        await self.stopping.settle()

    async def running(self, order: ExecuteOrder) -> asyncio.Task[FromWorker]:
        """Return a call that is under way and has said something."""
        making = asyncio.create_task(self.calls.make(order, self.provider, OwnClaim()))
        await self.provider.talking.wait()
        return making


@pytest.fixture
def claims() -> MemoryClaims:
    """Give claims that workers share."""
    return MemoryClaims()


@pytest.fixture
def scene(claims: MemoryClaims) -> Scene:
    """Give a worker."""
    return Scene(Talking(), claims)


def stop_of(order: ExecuteOrder, **facts: Any) -> StopCall:
    """Return the wish that a call end."""
    about = order.model_dump(include={"run_id", "tenant", "work_id", "attempt", "provider", "operation", "model"})
    return StopCall(**{**about, **facts})


async def test_a_call_that_runs_here_is_ended(scene: Scene, execute_order: MakeExecute) -> None:
    """Its connection is closed, and the answer has the usage by then, without secrets."""
    order = execute_order()
    making = await scene.running(order)
    await scene.told(stop_of(order))
    said = await making
    assert isinstance(said, RecordStop)
    assert (said.ending, said.spent.cost) == (Ending.STOPPED, Decimal("0.0200"))
    assert said.spent.usage == {"note": "key [hidden]"}
    assert scene.provider.closed.is_set()
    (unfinished,) = scene.provider.stopped
    assert (unfinished.characters, unfinished.usage, unfinished.payload) == (6, {"input_tokens": 7}, order.payload)


async def test_the_vendor_learns_which_call_it_was(scene: Scene, execute_order: MakeExecute) -> None:
    """By the id that was noted while it ran, though the wish to stop did not name one."""
    order = execute_order(prompt="note")
    making = await scene.running(order)
    await scene.told(stop_of(order))
    await making
    assert [call.provider_call_id for call in scene.provider.stopped] == ["job-1"]


async def test_a_stop_that_comes_before_its_order_keeps_the_call_from_beginning(
    scene: Scene, execute_order: MakeExecute
) -> None:
    """They travel on two topics. Nothing was spent, and that is known for sure."""
    order = execute_order()
    await scene.told(stop_of(order))
    said = await scene.calls.make(order, scene.provider, OwnClaim())
    assert isinstance(said, RecordStop)
    assert (said.ending, said.spent) == (Ending.NOT_BEGUN, Spent(cost=Decimal(0)))
    assert not scene.provider.talking.is_set()
    assert scene.provider.stopped == []


async def test_a_call_that_an_earlier_attempt_made_is_ended_though_this_one_asked_nothing(
    scene: Scene, execute_order: MakeExecute
) -> None:
    """It goes on at the vendor and is paid for: it was not begun here, which says nothing of that."""
    order = execute_order(resume="job-1", attempt=2)
    await scene.told(stop_of(order))
    said = await scene.calls.make(order, scene.provider, OwnClaim())
    assert isinstance(said, RecordStop)
    assert (said.ending, said.spent.cost) == (Ending.STOPPED, Decimal("0.0200"))
    assert [call.provider_call_id for call in scene.provider.stopped] == ["job-1"]


async def test_only_the_attempt_that_is_named_ends(scene: Scene, execute_order: MakeExecute) -> None:
    """Another call goes on to its answer."""
    order = execute_order()
    making = await scene.running(order)
    await scene.told(stop_of(order, attempt=2), stop_of(order, tenant="other"), b"{not json")
    scene.provider.gate.set()
    assert isinstance(await making, RecordExecution)


async def test_a_call_without_a_worker_is_ended_at_the_vendor_by_one_of_those_who_hear(
    claims: MemoryClaims, execute_order: MakeExecute
) -> None:
    """Its worker died; the id that it had noted is enough. Every worker hears of it, again after each restart."""
    workers = [Scene(Talking(), claims) for _ in range(3)]
    stop = stop_of(execute_order(), provider_call_id="job-1")
    for worker in [*workers, workers[0]]:
        await worker.told(stop)
    told = [call.provider_call_id for worker in workers for call in worker.provider.stopped]
    assert told == ["job-1"]
    (said,) = [command for worker in workers for command in worker.publisher.commands]
    assert isinstance(said, RecordStop)
    assert (said.run_id, said.ending, said.spent.cost) == (stop.run_id, Ending.STOPPED, Decimal("0.0200"))


async def test_where_nobody_knows_an_id_nobody_says_anything(scene: Scene, execute_order: MakeExecute) -> None:
    """Perhaps another worker makes the call; if none does, its lease ends."""
    await scene.told(stop_of(execute_order()), stop_of(execute_order(), provider="nobody"))
    assert scene.publisher.commands == []


async def test_a_vendor_that_cannot_be_told_leaves_the_cost_unknown(
    claims: MemoryClaims, execute_order: MakeExecute
) -> None:
    """The call has ended all the same."""
    scene, order = Scene(Deaf(), claims), execute_order()
    making = await scene.running(order)
    await scene.told(stop_of(order))
    said = await making
    assert isinstance(said, RecordStop)
    assert (said.ending, said.spent) == (Ending.STOPPED, Spent())


async def test_a_stop_waits_for_the_database(claims: MemoryClaims, execute_order: MakeExecute) -> None:
    """It is not lost with an outage."""
    scene = Scene(Talking(), claims)
    claims.unavailable = True
    telling = asyncio.create_task(scene.told(stop_of(execute_order(), provider_call_id="job-1")))
    await claims.until_asked(1)
    claims.unavailable = False
    await telling
    assert len(scene.provider.stopped) == 1


async def test_a_call_that_cancels_itself_counts_as_a_bug(scene: Scene, execute_order: MakeExecute) -> None:
    """No stop asked for its end, so it may have happened."""

    class Absent(Talking):
        async def execute(self, *_: Any) -> Answer:
            raise asyncio.CancelledError

    with pytest.raises(ProviderError) as caught:
        await scene.calls.make(execute_order(), Absent(), OwnClaim())
    assert (caught.value.failure.code, caught.value.failure.uncertain) == ("provider_bug", True)


async def test_the_sandbox_charges_for_what_it_had_said() -> None:
    """Without a key: a stream that is cut short costs its beginning."""
    spent = await SandboxProvider().stop(Unfinished("text", "sandbox-1", {"prompt": "Hello"}, characters=15))
    assert spent.cost == Decimal("0.00020")


def hold_of(order: ExecuteOrder) -> HoldCall:
    """Return the wish that a call not begin."""
    return HoldCall(**order.model_dump(include={"run_id", "tenant", "work_id", "attempt", "provider"}))


async def test_a_hold_that_comes_before_its_order_keeps_the_call_from_beginning(
    scene: Scene, execute_order: MakeExecute
) -> None:
    """The run is paused; the order is given back, and nothing was spent."""
    order = execute_order()
    await scene.told(hold_of(order))
    said = await scene.calls.make(order, scene.provider, OwnClaim())
    assert isinstance(said, RecordStop)
    assert (said.ending, said.spent) == (Ending.NOT_BEGUN, Spent(cost=Decimal(0)))
    assert not scene.provider.talking.is_set()


async def test_a_hold_leaves_a_call_alone_that_has_begun(scene: Scene, execute_order: MakeExecute) -> None:
    """It is paid for: it ends with its answer, and the next call is made too."""
    order = execute_order()
    making = await scene.running(order)
    await scene.told(hold_of(order))
    scene.provider.gate.set()
    assert isinstance(await making, RecordExecution)
    assert scene.provider.stopped == []
    assert isinstance(await scene.calls.make(execute_order(), scene.provider, OwnClaim()), RecordExecution)


@pytest.mark.parametrize(("version", "is_held"), [(3, True), (4, False), (9, False)])
async def test_the_end_of_a_run_gives_back_what_is_held_for_it(scene: Scene, version: int, *, is_held: bool) -> None:
    """At once, also what a preparation holds that was ordered before the end and comes after it; what a retry holds later stays."""
    order = an_execute_order()
    account = scene.budgets.account_of(order)
    ended = ReleaseBudget(run_id=order.run_id, tenant=order.tenant, version=version)
    await scene.budgets.hold(account, Decimal(7), f"{order.run_id}.2")
    await scene.told(ended, ended)
    await scene.budgets.hold(account, Decimal(7), f"{order.run_id}.4")
    other = scene.budgets.account_of(an_execute_order())
    assert (await scene.budgets.hold(other, Decimal(5), "another.2") is not None) is is_held


async def test_an_end_that_is_read_again_leaves_what_a_retry_holds(scene: Scene) -> None:
    """A worker that starts reads the ends of the last hour: by then the run may have been retried."""
    order = an_execute_order()
    account = scene.budgets.account_of(order)
    await scene.budgets.hold(account, Decimal(7), f"{order.run_id}.4")
    await scene.told(ReleaseBudget(run_id=order.run_id, tenant=order.tenant, version=3))
    other = scene.budgets.account_of(an_execute_order())
    assert await scene.budgets.hold(other, Decimal(5), "another.2") is not None


async def test_without_budgets_the_end_of_a_run_asks_no_database(scene: Scene) -> None:
    """As nothing is held."""
    order = an_execute_order()
    gate = BudgetGate(BudgetRules(), scene.balances)
    await gate.release(ReleaseBudget(run_id=order.run_id, tenant=order.tenant, version=3))
    assert scene.balances.asked == 0
