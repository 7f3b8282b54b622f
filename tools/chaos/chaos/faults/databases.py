"""PostgreSQL that dies, hangs, has no connection left, and takes no writes."""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg

from chaos.faults import Fault
from chaos.load import Load
from chaos.stage import Stage
from testkit.processes import restartable

AWAY_SECONDS = 4.0
MOST_CONNECTIONS = 200

WRITTEN = ("ledger.decisions", "ledger.intake", "ledger.refusals", "ledger.deadlines", "views.hitl_runs", "work.claims")
"""Every table that a service writes on its way."""

_FULL = """
CREATE OR REPLACE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"""


async def killed(stage: Stage, load: Load) -> None:
    """Kill PostgreSQL, let everybody do without for a while, and start it on its data."""
    stage.postgres.kill()
    await asyncio.sleep(AWAY_SECONDS)  # how long it is away
    await stage.postgres.start()
    await load.begun_before_end()


async def killed_at_once(stage: Stage, load: Load) -> None:
    """Kill PostgreSQL and start it at once, three times: whether the last commit took effect nobody was told."""
    for _ in range(3):
        stage.postgres.kill()
        await stage.postgres.start()
        await load.more(10)


async def hung(stage: Stage, load: Load) -> None:
    """Let PostgreSQL stand still with all its processes."""
    restartable.pause(stage.postgres)
    await asyncio.sleep(AWAY_SECONDS)  # how long it hangs
    restartable.resume(stage.postgres)
    await load.begun_before_end()


async def out_of_connections(stage: Stage, load: Load) -> None:
    """Take every connection there is, those of the services too, and keep them for a while."""
    taken: list[asyncpg.Connection] = []
    async with stage.sql() as sql:
        until = time.monotonic() + AWAY_SECONDS * 2
        while time.monotonic() < until:
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(stage.postgres.url()))
            await sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(0.05)  # whoever was thrown out tries to come back, and is thrown out again
    assert len(taken) > MOST_CONNECTIONS * 0.9, "hardly any was left for the services"
    await asyncio.gather(*(connection.close() for connection in taken))
    await load.begun_before_end()


async def disk_full(stage: Stage, load: Load) -> None:
    """Let every write fail as it does when the disk is full."""
    async with stage.sql() as sql:
        await sql.execute(_FULL)
        for table in WRITTEN:
            await sql.execute(
                f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION public.disk_is_full()"
            )
        await asyncio.sleep(AWAY_SECONDS)  # how long it is full
        for table in WRITTEN:
            await sql.execute(f"DROP TRIGGER full_disk ON {table}")
    await load.begun_before_end()


async def read_only(stage: Stage, load: Load) -> None:
    """Let the server take no writes, as a standby or one that was set so."""
    async with stage.sql() as sql:
        for value in ("on", "off"):
            await sql.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            await sql.execute("SELECT pg_reload_conf()")
            if value == "on":
                await asyncio.sleep(AWAY_SECONDS)  # how long it is so
    await load.begun_before_end()


FAULTS = [
    Fault(f"PostgreSQL: SIGKILL, away for {AWAY_SECONDS:g} s", killed),
    Fault("PostgreSQL: SIGKILL and started at once, three times", killed_at_once),
    Fault(f"PostgreSQL: hangs for {AWAY_SECONDS:g} s", hung),
    Fault(f"PostgreSQL: out of connections for {2 * AWAY_SECONDS:g} s", out_of_connections),
    Fault(f"PostgreSQL: disk full for {AWAY_SECONDS:g} s", disk_full),
    Fault(f"PostgreSQL: read-only for {AWAY_SECONDS:g} s", read_only),
]
