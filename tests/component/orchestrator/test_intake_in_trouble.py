"""Crashes, lost connections and other owners: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import pytest

from contracts.runs.commands import Command
from local_stack.wait import until
from messaging.errors import KafkaError
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.ports import LedgerUnavailable
from orchestrator.runs.aggregate import RUN
from testkit.postgres.unreliable import TcpProxy, UnreliableLedger, dump
from testkit.runs.command_records import Log, Record, approve, executed, prepared, start

from .conftest import LOG, MakeLedger, MakeOwner, Owner


def story() -> tuple[Log, list[Record]]:
    """Return a batch with everything in it: decisions, refusals, a dead letter, a run that nobody knows, two partitions."""
    log, run_id = Log(), uuid4()
    log.write(start(run_id, reply_to=0), prepared(run_id), approve(run_id, reply_to=1), approve(run_id, reply_to=2))
    log.put(b"k", b"not JSON", partition=1)
    log.write(start(reply_to=3), approve(uuid4(), reply_to=3), partition=1)
    return log, log.records


async def test_a_crash_between_writing_and_sending_loses_nothing(make_owner: MakeOwner, ledger_url: str) -> None:
    """Cancelled after its transaction, with nothing sent, an owner leaves all of it to the next one."""
    _, batch = story()
    untroubled = make_owner()
    untroubled.publisher.close()
    taking = asyncio.create_task(untroubled.intake.on_records(batch))

    async def written() -> bool:
        return len((await dump(ledger_url))["events"]) == 6

    await until(written, 10, "the batch is written")
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    held = await dump(ledger_url)
    sent = await make_owner().take(batch)
    assert await dump(ledger_url) == held
    assert [row[3] for row in held["events"]] == [event.to_bytes() for event in sent.events()]
    assert [len(sent.outcomes()), len(sent.orders()), len(sent.dead())] == [5, 2, 1]


@pytest.mark.parametrize("call", ["positions", "load", "transact"])
async def test_a_batch_is_held_while_the_ledger_is_away(
    call: str, make_owner: MakeOwner, make_ledger: MakeLedger, ledger_url: str
) -> None:
    """Whatever call fails, nothing is published until the ledger is back, and then everything once."""
    unreliable = UnreliableLedger(make_ledger())
    unreliable.fail(call, times=3)
    owner = make_owner(unreliable)
    _, batch = story()
    taking = asyncio.create_task(owner.intake.on_records(batch))
    await until(lambda: unreliable.calls.count(call) >= 3, 10, "the call was tried again")
    assert owner.publisher.sent == []
    await taking
    sent = owner.publisher.take()
    assert sent.kinds() == [
        "run-started.v1",
        "run-prepared.v1",
        "checkpoint-opened.v1",
        "checkpoint-approved.v1",
        "call-ordered.v1",
        "run-started.v1",
    ]
    assert [row[3] for row in (await dump(ledger_url))["events"]] == [event.to_bytes() for event in sent.events()]


async def test_commands_that_are_held_are_an_obstacle_to_readiness(
    make_owner: MakeOwner, make_ledger: MakeLedger
) -> None:
    """While the ledger does not take them readiness says why, and no longer than that."""
    unreliable = UnreliableLedger(make_ledger())
    unreliable.fail("transact", times=3)
    owner = make_owner(unreliable)
    _, batch = story()
    taking = asyncio.create_task(owner.intake.on_records(batch))
    await until(lambda: owner.intake.obstacle.reason is not None, 10, "the batch is held")
    with pytest.raises(ConnectionError, match="commands are held: unavailable on demand"):
        await owner.intake.obstacle.check()
    await taking
    await owner.intake.obstacle.check()


async def test_a_commit_whose_answer_is_lost_is_not_decided_again(
    make_owner: MakeOwner, make_ledger: MakeLedger, ledger_url: str
) -> None:
    """The batch was written though the ledger seemed away: it is published from there, once, and nothing is written twice."""
    unreliable = UnreliableLedger(make_ledger())
    unreliable.lose_answer("transact")
    _, batch = story()
    sent = await make_owner(unreliable).take(batch)
    held = await dump(ledger_url)
    assert len(held["events"]) == len(sent.events()) == 6
    assert (await make_owner().take(batch)).as_bytes() == sent.as_bytes()
    assert await dump(ledger_url) == held


async def test_an_answer_that_is_lost_after_the_commit_is_fetched_again(
    make_owner: MakeOwner, make_ledger: MakeLedger
) -> None:
    """The ledger goes away between the commit and reading what an earlier command was answered: nothing is missing."""
    unreliable = UnreliableLedger(make_ledger())
    owner, log, run_id = make_owner(unreliable), Log(), uuid4()
    once = start(run_id, reply_to=0)
    await owner.take(log.write(once))
    unreliable.calls.clear()
    taking = asyncio.create_task(owner.intake.on_records(log.write(prepared(run_id), once)))
    await until(lambda: "transact" in unreliable.calls, 10, "the batch is being written")
    unreliable.fail("load", times=1)
    await taking
    sent = owner.publisher.take()
    assert sent.kinds()[-2:] == ["run-prepared.v1", "checkpoint-opened.v1"]
    assert sent.answer(once.command_id) == "accepted"


@pytest.mark.parametrize("said", [b"INSERT INTO ledger.commits", b"run-started.v1"])
async def test_a_connection_that_breaks_under_a_batch_costs_nothing(
    said: bytes, make_owner: MakeOwner, ledger_url: str
) -> None:
    """Cut while its statement is prepared or behind its commit, the batch is written once and published once."""
    proxy = TcpProxy(ledger_url)
    await proxy.open()
    ledger = PostgresLedger(proxy.url, LOG, RUN)
    owner = make_owner(ledger)
    log, batch = story()
    proxy.cut_after(said)
    sent = await owner.take(batch)
    assert len((await dump(ledger_url))["events"]) == len(sent.events()) == 6
    assert len((await owner.take(log.write(start()))).events()) == 1
    await ledger.close()
    await proxy.close()


async def test_owners_that_take_turns_on_a_partition_write_nothing_twice(
    make_owner: MakeOwner, ledger_url: str
) -> None:
    """Each believes to be the owner; whoever comes late publishes what the other decided, and decides what is left."""
    one, two = make_owner(), make_owner()
    log, run_id = Log(), uuid4()
    first = log.write(start(run_id, reply_to=0))
    second = log.write(prepared(run_id, reply_to=0), approve(run_id, reply_to=0))
    third = log.write(executed(run_id, 5), start(reply_to=0))
    await one.take(first)
    await two.take(first + second)
    late = await one.take(second + third)
    assert [event.version for event in late.events(run_id)] == [2, 3, 4, 5, 6, 7]
    later = await two.take(third)
    assert [event.version for event in later.events(run_id)] == [6, 7]
    assert [row[1] for row in (await dump(ledger_url))["events"]] == [1, 2, 3, 4, 5, 6, 7, 1]
    everything = await make_owner().take(log.records)
    assert [event.version for event in everything.events(run_id)] == [1, 2, 3, 4, 5, 6, 7]


async def test_two_owners_at_the_same_time_agree_in_the_end(make_owner: MakeOwner, ledger_url: str) -> None:
    """Both read the same records at once: every command has one effect and one answer, whoever decided it."""
    owners = [make_owner(), make_owner()]
    log, runs = Log(), [uuid4() for _ in range(20)]
    steps: list[Callable[[UUID], Command]] = [_begin, prepared, approve, lambda run_id: executed(run_id, 5)]
    batches = [log.write(*(said(run_id) for run_id in runs)) for said in steps]
    await asyncio.gather(*(_take_all(owner, batches) for owner in owners))
    held = await dump(ledger_url)
    assert sorted(row[1] for row in held["events"]) == sorted([1, 2, 3, 4, 5, 6, 7] * 20)
    for owner in owners:
        assert {(event.run_id, event.version) for event in owner.publisher.take().events()} == {
            (row[0], row[1]) for row in held["events"]
        }


async def test_an_owner_that_slept_refuses_nothing_on_stale_knowledge(make_owner: MakeOwner) -> None:
    """What it remembers of a run is old; a refusal that follows from it is fenced as well."""
    sleeper, waker = make_owner(), make_owner()
    log, run_id = Log(), uuid4()
    await sleeper.take(log.write(start(run_id)))
    await waker.take([log.records[0], *log.write(prepared(run_id))])
    decision = approve(run_id, reply_to=0)
    sent = await sleeper.take([log.records[1], *log.write(decision)])
    assert sent.answer(decision.command_id) == "accepted"


async def test_an_owner_that_left_looks_again(make_owner: MakeOwner) -> None:
    """After leaving nothing is believed that was known before: the ledger may have moved on."""
    owner, other = make_owner(), make_owner()
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id)))
    await owner.intake.leave()
    await other.take(log.write(prepared(run_id)))
    sent = await owner.take(log.write(approve(run_id)))
    assert sent.kinds() == ["checkpoint-approved.v1", "call-ordered.v1"]


async def test_leaving_waits_for_what_is_on_its_way(owner: Owner) -> None:
    """An owner that is asked to leave first sees its sends arrive and commits behind them."""
    log = Log()
    owner.publisher.held = True
    await owner.take(log.write(start()))
    leaving = asyncio.create_task(owner.intake.leave())
    await asyncio.sleep(0)
    assert not leaving.done()
    assert owner.committed == []
    owner.publisher.release()
    await leaving
    assert owner.committed == [{0: 1}]


async def test_offsets_are_committed_behind_what_has_arrived_and_no_further(owner: Owner) -> None:
    """Of batches on their way, those up to the first that has not arrived count; a later one does not."""
    log = Log()
    owner.publisher.held = True
    for partition in (0, 1, 0):
        await owner.intake.on_records(log.write(start(), start(), partition=partition))
    await owner.confirming.commit()
    assert owner.committed == []
    owner.publisher.release()
    await _commits(owner, {0: 2})
    owner.publisher.release()
    await _commits(owner, {1: 2})
    owner.publisher.release()
    await _commits(owner, {0: 4})


async def test_a_send_that_fails_for_good_is_not_swallowed(owner: Owner) -> None:
    """The task that confirms ends with the error; nothing behind it is committed."""
    log = Log()
    owner.publisher.held = True
    await owner.intake.on_records(log.write(start()))
    await owner.intake.on_records(log.write(start()))
    owner.publisher.release(KafkaError("gone"))
    owner.publisher.release()
    with pytest.raises(KafkaError):
        await owner.following
    await owner.confirming.commit()
    assert owner.committed == []


async def test_batches_on_their_way_are_bounded(owner: Owner) -> None:
    """While Kafka acknowledges nothing, an owner takes a few batches and then waits."""
    log = Log()
    owner.publisher.held = True

    async def take_for_ever() -> None:
        while True:
            await owner.intake.on_records(log.write(start()))

    taking = asyncio.create_task(take_for_ever())
    await until(lambda: len(log.records) >= 5, 10, "some batches are taken")
    positions = [await owner.ledger.positions([0]) for _ in range(20)]
    assert positions[-1][0] <= 7, "it waits"
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking


async def test_a_ledger_that_cannot_be_written_is_away_and_not_broken(ledger: PostgresLedger, ledger_url: str) -> None:
    """A server that takes no writes for the moment, as a standby after a failover, is waited for."""
    await ledger.check()
    standby = PostgresLedger(f"{ledger_url}?options=-cdefault_transaction_read_only%3Don", LOG, RUN)
    with pytest.raises(LedgerUnavailable, match="takes no writes"):
        await standby.positions([0])
    await standby.close()


def _begin(run_id: UUID) -> Command:
    return start(run_id, reply_to=0)


async def _take_all(owner: Owner, batches: Sequence[Sequence[Record]]) -> None:
    for batch in batches:
        await owner.intake.on_records(batch)


async def _commits(owner: Owner, expected: dict[int, int]) -> None:
    async def committed() -> bool:
        await owner.confirming.commit()
        return bool(owner.committed)

    await until(committed, 10, "offsets are committed")
    assert owner.committed == [expected]
    owner.committed.clear()
