"""What falls due becomes a command: once, however many schedulers look, and again when the command gets lost."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from contracts.runs import commands as c
from contracts.runs.commands import parse_command
from contracts.topics import COMMANDS
from local_stack.wait import until
from messaging.records import Outgoing
from orchestrator.adapters.postgres.ledger import FIRE_AGAIN_SECONDS, PostgresLedger
from orchestrator.jobs.deadline_scheduler import DeadlineScheduler
from orchestrator.ports import DueRow, LedgerUnavailable
from orchestrator.runs.aggregate import RUN
from testkit.kafka.memory_publisher import MemoryPublisher, Publications
from testkit.postgres.unreliable import dump, execute
from testkit.runs.command_records import Log, Record, failed, prepared, start

from .conftest import MakeLedger, MakeOwner, Owner

SHORT = {"timeout_seconds": 0.001}


async def test_two_schedulers_send_each_due_command_once(
    make_ledger: MakeLedger, make_owner: MakeOwner, ledger_url: str
) -> None:
    """Schedulers of several processes share what is due; the commands go to their runs' partitions by key."""
    log, runs = Log(), [uuid4() for _ in range(50)]
    await make_owner().take(log.write(*(start(run_id) for run_id in runs)))
    await pass_time(ledger_url, 3600)
    publisher = MemoryPublisher()
    schedulers = [DeadlineScheduler(make_ledger(), publisher, [RUN]) for _ in range(2)]
    assert sum(await asyncio.gather(*(scheduler.tick() for scheduler in schedulers))) == 50
    assert sum(await asyncio.gather(*(scheduler.tick() for scheduler in schedulers))) == 0
    sent = publisher.take()
    assert {record.key for record in sent.on(COMMANDS.name)} == {str(run_id).encode() for run_id in runs}
    assert {said.kind for said in commands(sent.sent)} == {"expire-lease.v1"}


async def test_a_command_that_got_lost_fires_again_and_takes_effect_once(owner: Owner, ledger_url: str) -> None:
    """Sent and lost, it is sent again after a while; arriving twice, it is carried out once."""
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id)))
    await pass_time(ledger_url, 3600)
    scheduler = scheduler_of(owner)
    assert await scheduler.tick() == 1
    lost = owner.publisher.take().sent
    assert await scheduler.tick() == 0
    await pass_time(ledger_url, FIRE_AGAIN_SECONDS)
    assert await scheduler.tick() == 1
    again = owner.publisher.take().sent
    assert again == lost
    sent = await owner.take(deliver(log, [*lost, *again]))
    assert sent.kinds() == ["preparation-failed.v1", "retry-scheduled.v1"]
    await pass_time(ledger_url, 7200)
    assert await scheduler.tick() == 1
    assert isinstance(commands(owner.publisher.take().sent)[0], c.RetryWork), "the run has moved on"


async def test_a_checkpoint_that_nobody_decides_expires(owner: Owner, ledger_url: str) -> None:
    """A time limit below a second is kept: the deadline's command ends the run as configured."""
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id, hitl={**SHORT, "on_timeout": "cancel"}), prepared(run_id)))
    sent = await until_due(owner, log)
    assert sent.kinds(run_id) == ["checkpoint-expired.v1", "run-cancelled.v1"]
    assert (await dump(ledger_url))["deadlines"] == []


async def test_an_escalation_fires_once_and_then_the_run_fails(owner: Owner) -> None:
    """Each time limit is a deadline of its own."""
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id, hitl={**SHORT, "on_timeout": "escalate"}), prepared(run_id)))
    assert (await until_due(owner, log)).kinds(run_id) == ["checkpoint-escalated.v1"]
    assert (await until_due(owner, log)).kinds(run_id) == ["checkpoint-expired.v1", "run-failed.v1"]


async def test_a_lease_that_nobody_extends_ends_and_the_work_is_ordered_again(owner: Owner) -> None:
    """A worker that went without a word costs one attempt: the next is ordered when the back-off is over."""
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id, hitl={"lease_seconds": 1})))
    lost = await until_due(owner, log)
    assert lost.kinds(run_id) == ["preparation-failed.v1", "retry-scheduled.v1"]
    again = await until_due(owner, log)
    assert again.kinds(run_id) == ["preparation-ordered.v1"]
    (order,) = again.orders()
    assert (order.work_id, order.attempt) == (f"{run_id}.1", 2)


async def test_a_retry_waits_as_long_as_the_provider_asked(owner: Owner, ledger_url: str) -> None:
    """Before that time nothing is due."""
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id), failed(run_id, retryable=True, retry_after=300)))
    scheduler = scheduler_of(owner)
    await pass_time(ledger_url, 290)
    assert await scheduler.tick() == 0
    await pass_time(ledger_url, 20)
    assert await scheduler.tick() == 1


async def test_a_scheduler_goes_on_when_the_ledger_was_unavailable() -> None:
    """It says so once, and looks again until the ledger answers."""
    looked = asyncio.Event()

    class Unavailable:
        """Deadlines that cannot be read three times."""

        tries = 0

        async def take_due(self, *_: object) -> list[DueRow]:
            self.tries += 1
            if self.tries <= 3:
                raise LedgerUnavailable("unavailable on demand")
            looked.set()
            return []

    running = asyncio.create_task(DeadlineScheduler(Unavailable(), MemoryPublisher(), [RUN]).run())
    async with asyncio.timeout(10):
        await looked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_deadline_of_a_newer_version_stops_no_other(owner: Owner, ledger_url: str) -> None:
    """Its kind is unknown: it is left in the ledger, and what else is due is sent."""
    log, runs = Log(), [uuid4() for _ in range(3)]
    await owner.take(log.write(*(start(run_id) for run_id in runs)))
    await execute(ledger_url, "UPDATE ledger.deadlines SET kind = 'remind.v9' WHERE stream_id = $1", runs[0])
    await pass_time(ledger_url, 3600)
    scheduler = scheduler_of(owner)
    await scheduler.tick()
    sent = commands(owner.publisher.take().sent)
    assert {said.run_id for said in sent} == set(runs[1:])
    assert len((await dump(ledger_url))["deadlines"]) == 3


def scheduler_of(owner: Owner) -> DeadlineScheduler:
    """Return a scheduler on the ledger of an owner."""
    assert isinstance(owner.ledger, PostgresLedger)
    return DeadlineScheduler(owner.ledger, owner.publisher, [RUN])


def commands(sent: list[Outgoing]) -> list[c.AnyCommand]:
    """Read commands that were sent."""
    return [parse_command(record.value or b"") for record in sent]


def deliver(log: Log, sent: list[Outgoing]) -> list[Record]:
    """Put what a scheduler sent onto the log."""
    return [log.put(record.key, record.value) for record in sent]


async def until_due(owner: Owner, log: Log) -> Publications:
    """Let the scheduler look until something is due, and take it in."""
    scheduler = scheduler_of(owner)

    async def is_due() -> bool:
        return await scheduler.tick() > 0

    await until(is_due, 10, "something is due")
    return await owner.take(deliver(log, owner.publisher.take().sent))


async def pass_time(url: str, seconds: float) -> None:
    """Bring everything nearer that waits for a time."""
    await execute(url, "UPDATE ledger.deadlines SET due_at = due_at - make_interval(secs => $1)", float(seconds))
