"""What a `Ledger` promises of deadlines, in memory and on PostgreSQL: each is the run's last, and is taken when it is due, by one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from orchestrator.ports import DueRow, Store
from orchestrator.runs import Deadline

from .conftest import MakeStore
from .entries import NOW, due, write


def taken(deadline: Deadline) -> DueRow:
    """Return a deadline as it is taken."""
    assert deadline.due is not None
    return DueRow("run", deadline.stream_id, deadline.due)


async def test_deadlines_of_another_aggregate_are_left_to_its_hosts(store: Store) -> None:
    """An orchestrator takes the deadlines of the aggregates that it hosts."""
    run_id, long_ago = uuid4(), datetime.now(UTC) - timedelta(hours=1)
    await write(store, 0, 1, deadlines=[due(run_id, long_ago)])
    assert await store.take_due(["tally"], 10) == []
    assert await store.take_due(["tally", "run"], 10) == [taken(due(run_id, long_ago))]


async def test_a_deadline_is_set_moved_and_cleared(store: Store) -> None:
    """A run waits for one time: the last that was set, or none."""
    run_id, long_ago = uuid4(), datetime.now(UTC) - timedelta(hours=1)
    await write(store, 0, 1, deadlines=[due(run_id, datetime.now(UTC) + timedelta(hours=1))])
    assert await store.take_due(["run"], 10) == []
    await write(store, 1, 2, deadlines=[due(run_id, long_ago, attempt=2)])
    assert await store.take_due(["run"], 10) == [taken(due(run_id, long_ago, attempt=2))]
    await write(store, 2, 3, deadlines=[Deadline(run_id, None)])
    assert await store.waiting(UUID(int=0), 10) == []


async def test_what_is_due_is_taken_once_by_several_takers(make_store: MakeStore) -> None:
    """Clocks that look at the same time share the rows between them, none twice."""
    takers = [make_store() for _ in range(4)]
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(takers[0], 0, 1, deadlines=[due(uuid4(), long_ago) for _ in range(200)])
    rows_taken: list[DueRow] = []
    while found := await asyncio.gather(*(taker.take_due(["run"], 15) for taker in takers)):
        assert all(len(rows) <= 15 for rows in found)
        if not any(found):
            break
        rows_taken += [row for rows in found for row in rows]
    assert len(rows_taken) == len(set(rows_taken)) == 200


async def test_runs_that_wait_come_in_pages_by_id(store: Store) -> None:
    """Every run that waits for a time is found once."""
    runs = [uuid4() for _ in range(7)]
    await write(store, 0, 1, deadlines=[due(run_id, NOW) for run_id in runs])
    found, after = [], UUID(int=0)
    while page := await store.waiting(after, 3):
        found += page
        after = page[-1]
    assert found == sorted(runs)
