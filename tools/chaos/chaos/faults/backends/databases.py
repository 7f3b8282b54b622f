"""PostgreSQL killed, suspended, out of connections, without writes, failing over, and out of reach."""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage
from testkit.processes import restartable

OUTAGE_SECONDS = 4.0
MOST_CONNECTIONS = 200

WRITTEN = (
    "ledger.commits",
    "ledger.intake",
    "ledger.refusals",
    "ledger.deadlines",
    "views.hitl_runs",
    "worker.claims",
)
"""Tables that every run writes."""

_FULL = """
CREATE OR REPLACE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"""


async def killed(stage: Stage, load: Load) -> None:
    """Kill PostgreSQL, and start it on its data after a while."""
    stage.postgres.kill()
    await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    await stage.postgres.start()
    await load.runs_in_progress_end()


async def killed_at_once(stage: Stage, load: Load) -> None:
    """Kill PostgreSQL and start it at once, three times: the outcome of the last commit is unknown to its client."""
    for _ in range(3):
        stage.postgres.kill()
        await stage.postgres.start()
        await load.more(10)


async def hung(stage: Stage, load: Load) -> None:
    """Suspend PostgreSQL with all its processes."""
    restartable.pause(stage.postgres)
    await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    restartable.resume(stage.postgres)
    await load.runs_in_progress_end()


async def out_of_connections(stage: Stage, load: Load) -> None:
    """Take every connection, those of the services too, and hold them for a while."""
    taken: list[asyncpg.Connection] = []
    async with stage.sql() as sql:
        until = time.monotonic() + OUTAGE_SECONDS * 2
        while time.monotonic() < until:
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(stage.postgres.url()))
            await sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(0.05)  # services reconnect, and are cut off again
    assert len(taken) > MOST_CONNECTIONS * 0.9, "the services had hardly a connection left"
    await asyncio.gather(*(connection.close() for connection in taken))
    await load.runs_in_progress_end()


async def disk_full(stage: Stage, load: Load) -> None:
    """Let every write fail as on a full disk."""
    async with stage.sql() as sql:
        await sql.execute(_FULL)
        for table in WRITTEN:
            await sql.execute(
                f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION public.disk_is_full()"
            )
        await asyncio.sleep(OUTAGE_SECONDS)  # the outage
        for table in WRITTEN:
            await sql.execute(f"DROP TRIGGER full_disk ON {table}")
    await load.runs_in_progress_end()


async def read_only(stage: Stage, load: Load) -> None:
    """Set the server read-only, as a standby is."""
    async with stage.sql() as sql:
        for value in ("on", "off"):
            await sql.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            await sql.execute("SELECT pg_reload_conf()")
            if value == "on":
                await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    await load.runs_in_progress_end()


async def failed_over(stage: Stage, load: Load) -> None:
    """Demote the server: all sessions end, and new ones take no writes. Then promote it; no session that began meanwhile may stay."""
    await stage.proxy.demote()
    await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    stage.proxy.promote()
    await load.runs_in_progress_end()


async def swallowed(stage: Stage, load: Load) -> None:
    """Let the network swallow what services and server send, and end no connection, neither then nor later."""
    stage.proxy.swallow()
    await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    stage.proxy.flow()
    await load.runs_in_progress_end()


FAULTS = [
    Fault(f"PostgreSQL: SIGKILL, away for {OUTAGE_SECONDS:g} s", killed),
    Fault("PostgreSQL: SIGKILL and started at once, three times", killed_at_once),
    Fault(f"PostgreSQL: hangs for {OUTAGE_SECONDS:g} s", hung),
    Fault(f"PostgreSQL: out of connections for {2 * OUTAGE_SECONDS:g} s", out_of_connections),
    Fault(f"PostgreSQL: disk full for {OUTAGE_SECONDS:g} s", disk_full),
    Fault(f"PostgreSQL: read-only for {OUTAGE_SECONDS:g} s", read_only),
    Fault(f"PostgreSQL: fails over, its sessions read-only for {OUTAGE_SECONDS:g} s", failed_over),
    Fault(f"PostgreSQL: the network swallows everything for {OUTAGE_SECONDS:g} s", swallowed),
]
