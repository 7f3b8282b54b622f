"""Tallies and runs on one log, step by step: batches are delivered, owners crash anywhere, records come twice, time passes.

Every step is a call, so a test decides what happens in which order. In the end `finish` lets all that is left happen, and
`check` holds what was counted against what the runs did.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.notices import child_id
from contracts.providers.call import Execution, Failure, Preparation
from contracts.providers.orders import ExecuteOrder, parse_order
from contracts.runs import commands as c
from contracts.runs.requests import RunRequest
from contracts.runs.views import State
from contracts.topics import WORK
from messaging.offset_committer import OffsetCommitter
from messaging.records import Outgoing, key_of
from orchestrator.adapters.memory.log import MemoryKafka, MemoryLog, MemoryRecord
from orchestrator.aggregate import Aggregate
from orchestrator.intake.intake import Intake
from orchestrator.jobs.deadline_scheduler import DeadlineScheduler
from orchestrator.ports import Store
from orchestrator.runs.aggregate import RUN
from testkit.tally import messages as m
from testkit.tally.aggregate import TALLY
from testkit.tally.rules import Tally, fold

AGGREGATES: Mapping[str, Aggregate[Any, Any]] = {"run": RUN, "tally": TALLY}

PLACES = ("intake.appending", "intake.appended", "intake.decided", "intake.handed-over")
"""Where an owner may crash within a batch."""

MOST_ROUNDS = 60


class Crash(BaseException):
    """The owner dies here. No handler of the product catches it."""


class Publisher(MemoryLog):
    """Sends into the log; dies after so many records of a call where told to."""

    dies_after: int | None = None

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Append records, all or as many as it lives to send."""
        sending = list(records)
        if self.dies_after is not None and len(sending) > self.dies_after:
            await super().send_all(sending[: self.dies_after])
            raise Crash
        return await super().send_all(sending)


class Owner:
    """One orchestrator's intake of one aggregate."""

    def __init__(
        self, aggregate: Aggregate[Any, Any], store: Store, kafka: MemoryKafka, now: Callable[[], datetime]
    ) -> None:
        self.publisher = Publisher(kafka)
        self._dies_at: tuple[str, int] | None = None
        committer = OffsetCommitter(_commit_nothing)
        self._intake = Intake(
            aggregate,
            store,
            self.publisher,
            committer,
            now,
            self._reached,
            {of.commands.name for of in AGGREGATES.values()},
        )
        self._following = asyncio.ensure_future(committer.track())

    async def take(self, batch: list[MemoryRecord], dies_at: str | None = None, dies_after: int | None = None) -> bool:
        """Take in a batch; return False if the owner died on its way."""
        self._dies_at = None if dies_at is None else (dies_at, 1)
        self.publisher.dies_after = dies_after
        try:
            await self._intake.on_records(batch)
        except Crash:
            self.end()
            return False
        return True

    def end(self) -> None:
        """End without a word."""
        self._following.cancel()

    def _reached(self, place: str) -> None:
        if self._dies_at is not None and place == self._dies_at[0]:
            raise Crash


async def _commit_nothing(offsets: Mapping[int, int]) -> None:
    """Offsets are committed by the steps of the test."""


class TallyWorld:
    """A log, a ledger for each aggregate, and one owner of each. `open_store` opens a ledger; `pass_time` turns its clock."""

    def __init__(
        self,
        open_store: Callable[[Aggregate[Any, Any]], Store],
        pass_time: Callable[[float], Awaitable[None]],
        *,
        partitions: int = 4,
    ) -> None:
        self.kafka = MemoryKafka(partitions=partitions)
        self.stores = {name: open_store(aggregate) for name, aggregate in AGGREGATES.items()}
        self.offset = timedelta()
        self._open_store = open_store
        self._pass_time = pass_time
        self._owners = {name: self._owner(name) for name in AGGREGATES}
        self._positions: dict[str, dict[int, int]] = {name: {} for name in AGGREGATES}
        self._played: dict[int, int] = {}
        self.tallies: list[UUID] = []

    def now(self) -> datetime:
        """Return the world's time."""
        return datetime.now(UTC) + self.offset

    def say(self, topic: str, key: UUID, body: bytes) -> None:
        """Put a record onto the log."""
        self.kafka.append(Outgoing(topic, key_of(key), body))

    def kinds(self, topic: str) -> list[str]:
        """Return the kinds of all records of a topic, partition by partition."""
        return [json.loads(record.value or b"")["kind"] for record in self.kafka.records(topic)]

    def open(self, children: int, *, refuse: Iterable[int] = ()) -> UUID:
        """Ask for a tally; the starts of children in `refuse` will find their run begun by another command."""
        tally_id, request = uuid4(), RunRequest(prompt="p")
        for path in refuse:
            run_id = child_id(tally_id, str(path))
            other = c.StartRun(command_id=uuid4(), run_id=run_id, at=self.now(), request=request)
            self.say(RUN.commands.name, run_id, other.model_dump_json().encode())
        opening = m.OpenTally(command_id=uuid4(), stream_id=tally_id, at=self.now(), children=children, request=request)
        self.say(m.COMMANDS.name, tally_id, opening.model_dump_json().encode())
        self.tallies.append(tally_id)
        return tally_id

    async def deliver(self, name: str, dies_at: str | None = None, dies_after: int | None = None) -> None:
        """Give an aggregate's owner what lies ahead of it. An owner that dies is followed by another, from the committed offsets."""
        batch = self.kafka.read(AGGREGATES[name].commands.name, self._positions[name])
        if batch and not await self._owners[name].take(batch, dies_at, dies_after):
            self.crash(name)

    async def deliver_to_a_stale_owner(self, name: str) -> None:
        """Let another owner take what lies ahead, and then the first one too, as one that slept through a rebalance."""
        stale = self._owners[name]
        batch = self.kafka.read(AGGREGATES[name].commands.name, self._positions[name])
        if batch:
            self._owners[name] = self._owner(name)
            await self._owners[name].take(batch)
            await stale.take(batch)
            stale.end()

    def crash(self, name: str) -> None:
        """End an owner without a word; the next one reads from the committed offsets."""
        self._owners[name].end()
        self._owners[name] = self._owner(name)
        self._positions[name] = {}

    def commit(self, name: str) -> None:
        """Commit all that was delivered."""
        topic = AGGREGATES[name].commands.name
        self.kafka.committed |= {(topic, number): offset for number, offset in self._positions[name].items()}

    def repeat(self, name: str, which: int) -> None:
        """Deliver a record of an aggregate's commands once more, later."""
        if records := self.kafka.records(AGGREGATES[name].commands.name):
            record = records[which % len(records)]
            self.kafka.append(Outgoing(record.topic, record.key, record.value, record.headers))

    def work(self, *, again: bool = False) -> None:
        """Carry out orders as a worker does: those that are new, or all of them again."""
        if again:
            self._played = {}
        for record in self.kafka.read(WORK.name, self._played):
            answer = answer_of(record.value or b"", self.now())
            self.say(RUN.commands.name, answer.run_id, answer.model_dump_json().encode())

    async def wait(self, seconds: float) -> None:
        """Let time pass, and what is due then fall due."""
        self.offset += timedelta(seconds=seconds)
        await self._pass_time(seconds)
        scheduler = DeadlineScheduler(self.stores["run"], MemoryLog(self.kafka), AGGREGATES.values())
        while await scheduler.tick():
            pass

    async def finish(self) -> None:
        """Let all that is left happen, until every tally is closed."""
        for _ in range(MOST_ROUNDS):
            for name in AGGREGATES:
                await self.deliver(name)
            self.work()
            if not any(self._lies_ahead(name) for name in AGGREGATES):
                if all([(await self.tally(tally_id)).closed for tally_id in self.tallies]):
                    return
                await self.wait(61)
        raise AssertionError("the tallies do not close")

    async def tally(self, tally_id: UUID) -> Tally:
        """Return a tally as the ledger holds it."""
        history = (await self.stores["tally"].load([tally_id])).histories[tally_id]
        tally = fold(stored.event for stored in history)  # type: ignore[misc]
        assert tally is not None
        return tally

    async def check(self) -> None:
        """Hold what was counted against what the runs did: every child once, as it ended."""
        for tally_id in self.tallies:
            await check_tally(self.stores["tally"], self.stores["run"], tally_id)

    def _lies_ahead(self, name: str) -> bool:
        topic, positions = AGGREGATES[name].commands.name, self._positions[name]
        ends = self.kafka.ends(topic, range(self.kafka.partitions))
        return any(end > positions.get(number, 0) for number, end in ends.items())

    def _owner(self, name: str) -> Owner:
        aggregate = AGGREGATES[name]
        return Owner(aggregate, self.stores[name], self.kafka, self.now)

    async def close(self) -> None:
        """End all owners and disconnect."""
        for owner in self._owners.values():
            owner.end()
        for store in self.stores.values():
            await store.close()


async def check_tally(tallies: Store, runs: Store, tally_id: UUID) -> None:
    """Hold what a closed tally counted against what its runs did: every child once, as it ended."""
    stored = (await tallies.load([tally_id])).histories[tally_id]
    facts = [one.event.data for one in stored]
    counted = [fact for fact in facts if isinstance(fact, m.ChildCounted)]
    tally = fold(one.event for one in stored)  # type: ignore[misc]
    assert tally is not None
    assert sorted(fact.path for fact in counted) == sorted(map(str, range(tally.children))), (
        "each child is counted once"
    )
    assert sum(isinstance(fact, m.TallyClosed) for fact in facts) == 1
    assert [one.event.version for one in stored] == list(range(1, len(stored) + 1)), "the history has no gap"
    histories = (await runs.load([fact.child_id for fact in counted])).histories
    for fact in counted:
        run = RUN.fold(one.event for one in histories[fact.child_id])
        assert run is not None
        ours = run.parent is not None and run.parent.stream_id == tally_id
        assert fact.state == (run.view.state.value if ours else "refused")
    assert tally.counts == dict(sorted(Counter(fact.state for fact in counted).items()))


ENDS = (State.COMPLETED, State.FAILED, State.CANCELLED)


def end_of(run_id: UUID) -> State:
    """Return how the worker of this world lets a run end."""
    return ENDS[run_id.int % len(ENDS)]


def answer_of(body: bytes, at: datetime) -> c.AnyCommand:
    """Return the worker's answer to an order: the same one however often it is given."""
    order = parse_order(body)
    about: dict[str, Any] = {
        "command_id": c.command_id("answer", order.work_id, order.attempt, order.kind),
        "run_id": order.run_id,
        "at": at,
    }
    tried = {"work_id": order.work_id, "attempt": order.attempt}
    match end_of(order.run_id):
        case State.CANCELLED:
            return c.CancelRun(**about)
        case State.FAILED:
            return c.RecordFailure(**about, **tried, failure=Failure(code="provider_error", message="it broke"))
    if isinstance(order, ExecuteOrder):
        return c.RecordExecution(**about, **tried, execution=Execution(response={"text": "t"}))
    preparation = Preparation(provider="sandbox", model=None, operation="text", payload={"a": 1}, payload_schema={})
    return c.RecordPreparation(**about, **tried, preparation=preparation)
