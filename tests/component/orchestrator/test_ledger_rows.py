"""The ledger's rows in PostgreSQL: a commit is one row, positions belong to one log and topic, a due row is taken by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg

from orchestrator.adapters.postgres.ledger import FIRE_AGAIN_SECONDS, PostgresLedger
from orchestrator.ports import Batch, Move
from orchestrator.runs import Deadline
from orchestrator.runs.aggregate import RUN
from testkit.postgres.unreliable import dump, execute

from .conftest import MakeLedger
from .entries import due, recorded, write


async def test_what_one_command_caused_is_one_row(ledger: PostgresLedger, ledger_url: str) -> None:
    """A row for each command and run; its events are its lines, and read one by one as they are published."""
    one, two, cause = uuid4(), uuid4(), uuid4()
    caused = [recorded(one, 1, cause=cause), recorded(one, 2, "two\nlines", cause=cause)]
    others = [recorded(two, 1, cause=cause), recorded(one, 3)]
    await write(ledger, 0, 3, events=[*caused, *others])
    held = await dump(ledger_url)
    assert [row[:3] for row in held["commits"]] == [
        (one, 1, caused[0].body + b"\n" + caused[1].body),
        (two, 1, others[0].body),
        (one, 3, others[1].body),
    ]
    told = [(stream_id, event.version, event.kind, body) for stream_id, event, body in [*caused, *others]]
    assert [row[:4] for row in held["events"]] == told
    assert [event for _, event in await ledger.events_from(1, 10)] == [*caused, *others]
    assert [event for _, event in await ledger.events_from(1, 1)] == caused, "a commit is never torn apart"


async def test_positions_belong_to_one_log(ledger: PostgresLedger, ledger_url: str) -> None:
    """Another log begins at 0 and moves for itself; only the first look at it finds it new."""
    await write(ledger, 0, 5)
    other = PostgresLedger(ledger_url, "another log", RUN)
    assert await other.is_new_log()
    assert await other.positions([0]) == {0: 0}
    assert not await other.is_new_log()
    await other.transact(Batch([Move(0, 0, 1)]))
    assert (await ledger.positions([0]), await other.positions([0])) == ({0: 5}, {0: 1})
    await other.close()


async def test_what_was_taken_falls_due_again_until_the_run_moves_on(ledger: PostgresLedger, ledger_url: str) -> None:
    """A command that got lost is taken again after FIRE_AGAIN_SECONDS; one whose run moved on is not."""
    lost, moved = uuid4(), uuid4()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(ledger, 0, 1, deadlines=[due(lost, long_ago), due(moved, long_ago)])
    assert len(await ledger.take_due(["run"], 10)) == 2
    await write(ledger, 1, 2, deadlines=[Deadline(moved, None)])
    assert await ledger.take_due(["run"], 10) == []
    later = "UPDATE ledger.deadlines SET due_at = due_at - make_interval(secs => $1)"
    await execute(ledger_url, later, FIRE_AGAIN_SECONDS)
    assert [taken.stream_id for taken in await ledger.take_due(["run"], 10)] == [lost]


async def test_a_transaction_does_not_wait_for_a_clock_nor_a_clock_for_it(
    make_ledger: MakeLedger, ledger_url: str
) -> None:
    """A row that somebody holds is skipped by the clock."""
    clock, held, free = make_ledger(), uuid4(), uuid4()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(clock, 0, 1, deadlines=[due(held, long_ago), due(free, long_ago)])
    holder = await asyncpg.connect(ledger_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM ledger.deadlines WHERE stream_id = $1 FOR UPDATE", held)
        assert [taken.stream_id for taken in await clock.take_due(["run"], 10)] == [free]
    await holder.close()
    assert [taken.stream_id for taken in await clock.take_due(["run"], 10)] == [held]
