"""Refusals are remembered as long as their commands can come again, and no longer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from pydantic_core import to_json

from contracts.runs.outcomes import Refused
from contracts.topics import COMMANDS
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.jobs.retention import AT_ONCE, RETENTION, delete_expired
from orchestrator.ports import Batch, Move, StoredRefusal
from testkit.postgres.unreliable import execute
from testkit.runs.command_records import Log, approve, start

from .conftest import MakeLedger, Owner

RUN_ID = uuid4()


async def test_a_refusal_is_forgotten_when_its_command_cannot_come_again(
    ledger: PostgresLedger, owner: Owner, ledger_url: str
) -> None:
    """A day before it is, the command delivered again gets its recorded answer, whatever became of its run since."""
    log, run_id = Log(), uuid4()
    early = approve(run_id, reply_to=0)
    (refused,) = (await owner.take(log.write(early))).outcomes()
    await owner.take(log.write(start(run_id)))
    await pass_time(ledger_url, RETENTION - timedelta(days=1))
    await delete_expired(ledger)
    assert (await owner.take(log.write(early))).outcomes() == [refused]
    await pass_time(ledger_url, timedelta(days=1, seconds=1))
    await delete_expired(ledger)
    assert (await ledger.load([run_id])).refusals == {}


def test_refusals_outlive_what_kafka_may_deliver() -> None:
    """A record is kept for its topic's retention and until its segment is closed, by default after seven days; and a day more."""
    assert COMMANDS.retention_ms is not None
    assert timedelta(milliseconds=COMMANDS.retention_ms) + timedelta(days=7 + 1) <= RETENTION


async def test_several_forget_side_by_side_and_none_waits_for_another(make_ledger: MakeLedger, ledger_url: str) -> None:
    """Each row is deleted by one of them, all that are too old are, and younger ones stay."""
    first, *others = (make_ledger() for _ in range(3))
    old, young = [uuid4() for _ in range(AT_ONCE + 1)], [uuid4() for _ in range(3)]
    await first.positions([0])
    await first.transact(Batch([Move(0, 0, 1)], refusals=list(map(refusal, old))))
    await pass_time(ledger_url, RETENTION + timedelta(seconds=1))
    await first.transact(Batch([Move(0, 1, 2)], refusals=list(map(refusal, young))))
    forgotten = await asyncio.gather(*(ledger.delete_refusals(RETENTION, 200) for ledger in (first, *others)))
    assert sum(forgotten) == AT_ONCE + 1
    await delete_expired(first)
    assert (await first.load([RUN_ID])).refusals.keys() == set(young)


def refusal(command_id: UUID) -> StoredRefusal:
    """Return the refusal of a command."""
    outcome = Refused(command_id=command_id, run_id=RUN_ID, code="not_allowed", message="no")
    return StoredRefusal(command_id, RUN_ID, None, to_json(outcome))


async def pass_time(url: str, time: timedelta) -> None:
    """Let refusals grow older."""
    await execute(url, "UPDATE ledger.refusals SET at = at - $1::interval", time)
