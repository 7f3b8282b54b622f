"""The embedded PostgreSQL: a real server that keeps its data through stops, crashes and the death of its owner."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pytest

from local_stack.postgres.server import Postgres, PostgresFailed
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from testkit.stack.local_run import alive

OWNER = """
import asyncio, pathlib, sys
from local_stack.postgres.server import Postgres

async def main():
    server = Postgres(pathlib.Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def execute(url: str, statement: str) -> list[asyncpg.Record]:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def test_both_drivers_take_the_same_url_and_fsync_is_on(postgres_url: str) -> None:
    """The services' two drivers share one setting, and what is committed is on disk."""
    assert (await execute(postgres_url, "SHOW fsync"))[0][0] == "on"
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        shown = await (await connection.execute("SHOW server_version")).fetchone()
    assert shown is not None
    assert shown[0].startswith("18.")


async def test_every_test_gets_a_database_of_its_own(postgres_url: str, module_postgres_url: str) -> None:
    """Databases of tests are separate."""
    await execute(postgres_url, "CREATE TABLE only_here (id int)")
    tables = "SELECT 1 FROM pg_tables WHERE tablename = 'only_here'"
    assert len(await execute(postgres_url, tables)) == 1
    assert len(await execute(module_postgres_url, tables)) == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_stopped_or_crashed_it_starts_again_with_its_data_at_its_url(
    private_postgres: Postgres, end: str
) -> None:
    """A test, or the local stack, may take PostgreSQL away and give it back."""
    url = private_postgres.url()
    await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    if end == "stop":
        await private_postgres.stop()
    else:
        private_postgres.kill()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(url)
    await private_postgres.start()
    assert (await execute(url, "SELECT answer FROM kept"))[0]["answer"] == 42


async def test_no_connection_commits_after_a_crash(private_postgres: Postgres) -> None:
    """With the server go those who serve its connections: also one that is in the middle of a statement."""
    serving = await asyncpg.connect(private_postgres.url())
    backend = psutil.Process(serving.get_server_pid())
    working = asyncio.ensure_future(serving.execute("SELECT count(*) FROM generate_series(1, 1000000000)"))
    await until(lambda: backend.cpu_times().user > 0.02, 10, "the statement is under way")
    private_postgres.kill()
    assert alive([backend]) == []
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await working


async def test_a_server_does_not_outlive_an_owner_that_was_killed(tmp_path: Path) -> None:
    """Even without a chance to clean up nothing is left."""
    owner = Process(Program("owner", [sys.executable, "-c", OWNER, tmp_path / "data"], tmp_path / "owner.log"))
    owner.start()
    await until(lambda: owner.last_lines(1).isdigit(), 30, "the owner's server runs")
    server = psutil.Process(int(owner.last_lines(1)))
    os.kill(owner.pid or 0, signal.SIGKILL)
    await until(lambda: alive([server]) == [], 10, "the server ends")
    owner.kill()


async def test_a_server_that_was_left_running_gives_way_to_the_next_start(tmp_path: Path) -> None:
    """Where a leftover runs all the same, it is stopped in order and its data goes on."""
    left = Postgres(tmp_path / "data")
    await left.start()
    await execute(left.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    following = Postgres(tmp_path / "data")
    await following.start()
    try:
        assert not left.alive
        assert (await execute(following.url(), "SELECT answer FROM kept"))[0]["answer"] == 42
    finally:
        await following.stop()


async def test_the_password_is_readable_by_its_owner_alone_and_asked_for(private_postgres: Postgres) -> None:
    """Others on the machine reach the port and no further."""
    password = private_postgres.folder / "postgres.password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(private_postgres.url().replace(password.read_text(), "guessed"))


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error ends with what PostgreSQL itself said."""
    server = Postgres(tmp_path / "data")
    await server.start()
    await server.stop()
    (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(PostgresFailed, match="no_such_setting"):
        await server.start()
