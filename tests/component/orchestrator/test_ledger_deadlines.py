"""What a `Ledger` promises of deadlines, held against PostgreSQL: each is the run's last, and is taken when it is due, by one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from component.orchestrator.entries import NOW, due, write
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.adapters.postgres.statements import AGAIN_SECONDS
from orchestrator.runs import Deadline
from testkit.postgres.unreliable import execute

from .conftest import MakeLedger


async def test_a_deadline_is_set_moved_and_cleared(ledger: PostgresLedger) -> None:
    """A run waits for one time: the last that was set, or none."""
    run_id, long_ago = uuid4(), datetime.now(UTC) - timedelta(hours=1)
    await write(ledger, 0, 1, deadlines=[due(run_id, datetime.now(UTC) + timedelta(hours=1))])
    assert await ledger.take_due(10) == []
    await write(ledger, 1, 2, deadlines=[due(run_id, long_ago, attempt=2)])
    assert await ledger.take_due(10) == [due(run_id, long_ago, attempt=2)]
    await write(ledger, 2, 3, deadlines=[Deadline(run_id, None)])
    assert await ledger.waiting(UUID(int=0), 10) == []


async def test_what_is_due_is_taken_once_by_several_takers(make_ledger: MakeLedger) -> None:
    """Clocks that look at the same time share the rows between them, none twice."""
    takers = [make_ledger() for _ in range(4)]
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(takers[0], 0, 1, deadlines=[due(uuid4(), long_ago) for _ in range(200)])
    taken: list[Deadline] = []
    while found := await asyncio.gather(*(taker.take_due(15) for taker in takers)):
        assert all(len(rows) <= 15 for rows in found)
        if not any(found):
            break
        taken += [deadline for rows in found for deadline in rows]
    assert len(taken) == len(set(taken)) == 200


async def test_what_was_taken_falls_due_again_until_the_run_moves_on(ledger: PostgresLedger, ledger_url: str) -> None:
    """A command that got lost is taken again after AGAIN_SECONDS; one whose run moved on is not."""
    lost, moved = uuid4(), uuid4()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(ledger, 0, 1, deadlines=[due(lost, long_ago), due(moved, long_ago)])
    assert len(await ledger.take_due(10)) == 2
    await write(ledger, 1, 2, deadlines=[Deadline(moved, None)])
    assert await ledger.take_due(10) == []
    later = "UPDATE ledger.deadlines SET due_at = due_at - make_interval(secs => $1)"
    await execute(ledger_url, later, AGAIN_SECONDS)
    assert [taken.run_id for taken in await ledger.take_due(10)] == [lost]


async def test_a_transaction_does_not_wait_for_a_clock_nor_a_clock_for_it(
    make_ledger: MakeLedger, ledger_url: str
) -> None:
    """A row that somebody holds is skipped by the clock."""
    clock, held, free = make_ledger(), uuid4(), uuid4()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(clock, 0, 1, deadlines=[due(held, long_ago), due(free, long_ago)])
    holder = await asyncpg.connect(ledger_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM ledger.deadlines WHERE run_id = $1 FOR UPDATE", held)
        assert [taken.run_id for taken in await clock.take_due(10)] == [free]
    await holder.close()
    assert [taken.run_id for taken in await clock.take_due(10)] == [held]


async def test_runs_that_wait_come_in_pages_by_id(ledger: PostgresLedger) -> None:
    """Every run that waits for a time is found once."""
    runs = [uuid4() for _ in range(7)]
    await write(ledger, 0, 1, deadlines=[due(run_id, NOW) for run_id in runs])
    found, after = [], UUID(int=0)
    while page := await ledger.waiting(after, 3):
        found += page
        after = page[-1]
    assert found == sorted(runs)
