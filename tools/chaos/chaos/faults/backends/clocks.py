"""Clocks that jump by an hour while processes run: the services' and the database's, as when a machine's clock is set."""

from __future__ import annotations

from datetime import UTC, datetime

from chaos.clients.load import Load
from chaos.clients.stories import HITL
from chaos.faults import Fault
from chaos.system.stage import Stage
from contracts.runs.run_event import RunEvent

HOUR = 3600

# With this search path, `now()` of the services is the function in `public`; the server's own clock stays right. Open
# connections keep the old path, so they are ended.
_CLOCK_FUNCTION = [
    "CREATE TABLE IF NOT EXISTS public.clock (wrong_by double precision NOT NULL)",
    "INSERT INTO public.clock SELECT 0 WHERE NOT EXISTS (SELECT FROM public.clock)",
    """CREATE OR REPLACE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.now() + make_interval(secs => wrong_by) FROM public.clock $$""",
    "ALTER DATABASE sayso SET search_path = public, pg_catalog",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'sayso' AND pid <> pg_backend_pid()",
]


async def forward_and_back(stage: Stage, load: Load) -> None:
    """Set the clock an hour ahead under load, and back. A deadline of half an hour falls due at once."""
    user = stage.user()
    async with user.http:
        run_id = (await user.start(hitl={**HITL, "timeout_seconds": HOUR / 2}))["run_id"]
        await user.until(run_id, "information_review")
        await _prepare(stage, load)  # connections end with it, which this person does not ask again for
        await _set(stage, HOUR)
        await user.until(run_id, "failed")
    await _work(stage, load, HOUR)
    await _set_back(stage, load, 0)
    await _work(stage, load, 0)


async def back_and_forward(stage: Stage, load: Load) -> None:
    """Set the clock an hour back under load, and right again."""
    await _prepare(stage, load)
    await _set_back(stage, load, -HOUR)
    await _work(stage, load, -HOUR)
    await _set(stage, 0)
    await _work(stage, load, 0)


async def _set_back(stage: Stage, load: Load, seconds: int) -> None:
    """Set the clock back while no plan waits for a time: by the clock it would come an hour later."""
    load.with_rules = False
    await load.runs_in_progress_end()
    await _set(stage, seconds)
    load.with_rules = True


async def _work(stage: Stage, load: Load, wrong_by: int) -> None:
    """Let runs go on under a clock, and check that events carry its time."""
    await load.runs_in_progress_end()
    await load.more(20)
    async with stage.sql() as sql:
        last = RunEvent.parse(
            await sql.fetchval("SELECT record FROM ledger.events ORDER BY position DESC, version DESC LIMIT 1")
        )
    on_the_clock = abs((last.at - datetime.now(UTC)).total_seconds() - wrong_by) < HOUR / 2
    assert on_the_clock, f"recorded at {last.at}"


async def _prepare(stage: Stage, load: Load) -> None:
    async with stage.sql() as sql:
        for statement in _CLOCK_FUNCTION:
            await sql.execute(statement)
    await load.runs_in_progress_end()


async def _set(stage: Stage, seconds: int) -> None:
    async with stage.sql() as sql:
        await sql.execute("UPDATE public.clock SET wrong_by = $1", float(seconds))
    new = stage.clock.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(stage.clock)


FAULTS = [
    Fault("clocks: an hour ahead, and back", forward_and_back),
    Fault("clocks: an hour back, and right again", back_and_forward),
]
