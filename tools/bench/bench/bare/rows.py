"""The rows that runs must leave in the database: a consumer that silently stopped would look like a speed-up."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from bench.bare.steps import Step
from local_stack.wait import until

_SETTLE_SECONDS = 30.0
_COUNTED = {
    "commits": "SELECT count(*) FROM ledger.commits",
    "events": "SELECT count(*) FROM ledger.events",
    "claims": "SELECT count(*) FROM worker.claims",
    "runs": "SELECT count(*) FROM views.hitl_runs",
    "completed": "SELECT count(*) FROM views.hitl_runs WHERE version = $1 AND last_event = 'run-completed.v1'",
    "pending": "SELECT count(*) FROM views.hitl_pending_approvals",
}


class RowsDisagree(Exception):
    """The rows are not those of the completed runs: a record was lost, or a consumer has stopped."""


async def check_rows(database: str, course: Sequence[Step], runs: int) -> None:
    """Wait for exactly the rows of `runs` completed runs. Raises RowsDisagree."""
    events = sum(len(step.events) for step in course)
    expected = {"commits": len(course) * runs, "events": events * runs, "claims": runs}
    expected |= {"runs": runs, "completed": runs, "pending": 0}
    connection = await asyncpg.connect(database)
    found = dict[str, int]()

    async def agree() -> bool:
        for name, query in _COUNTED.items():
            found[name] = await connection.fetchval(query, *([events] if "$1" in query else []))
        return found == expected

    try:
        await until(agree, _SETTLE_SECONDS, "the rows of all runs")
    except TimeoutError:
        raise RowsDisagree(f"{runs} runs leave {expected}, found {found}") from None
    finally:
        await connection.close()
