"""`make run` as a process: in a folder of its own, on free ports, with its terminal read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import psutil

from local_stack.ports import LOOPBACK, free_ports
from local_stack.services import MODULES, PORT_SETTINGS, Addresses
from local_stack.wait import until

START_SECONDS = 60
STOP_SECONDS = 10


class LocalRun:
    """One `python -m local_stack`, with everything it wrote so far in `output`."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._written = folder / "terminal.txt"
        self.addresses = Addresses(LOOPBACK, dict(zip(MODULES, free_ports(len(MODULES)), strict=True)))
        ports = {PORT_SETTINGS[service]: str(port) for service, port in self.addresses.ports.items()}
        environment = {**os.environ, "SAYSO_DATA_DIR": str(folder / "data"), **ports, **(settings or {})}
        with self._written.open("w") as terminal:
            self.process = psutil.Popen(
                [sys.executable, "-m", "local_stack"],
                stdout=terminal,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it wrote on its terminal."""
        return self._written.read_text()

    @property
    def run_id(self) -> str:
        """The sample run's id, as the terminal shows it."""
        return self._shown(r"/hitl/runs/([0-9a-f-]{36})")

    @property
    def deciding_command(self) -> str:
        """The command that decides the sample run, as the terminal shows it."""
        return self._shown(r"^ +(curl .*-X POST .*)$")

    def everything(self) -> list[psutil.Process]:
        """Return the process and all that descend from it."""
        return [self.process, *self.process.children(recursive=True)]

    def part(self, words: str) -> psutil.Process:
        """Return the child whose command line holds `words`; `postgres` the server, a module's name a service."""
        return next(child for child in self.process.children() if words in " ".join(child.cmdline()))

    async def answers(self, service: str) -> None:
        """Return when `service` says that it is ready."""
        async with httpx.AsyncClient(base_url=self.addresses.http(service)) as client:

            async def is_ready() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/health/ready")).is_success
                return False

            await until(is_ready, START_SECONDS, f"{service} is ready")

    async def says(self, words: str, times: int = 1, seconds: float = START_SECONDS) -> None:
        """Return when `words` stand on the terminal, so many times."""
        try:
            await until(lambda: self.output.count(words) >= times or not self._alive(), seconds, f"it says «{words}»")
        finally:
            assert self.output.count(words) >= times, self.output

    async def ends(self, seconds: float = STOP_SECONDS) -> int:
        """Return the exit code once it has ended."""
        await until(lambda: not self._alive(), seconds, "the local stack ends")
        code: int = self.process.wait()
        return code

    async def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return await self.ends()

    def _alive(self) -> bool:
        return self.process.poll() is None

    def _shown(self, pattern: str) -> str:
        found = re.search(pattern, self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]


async def run_demo(settings: Mapping[str, str]) -> tuple[int, str]:
    """Run the demo; return its exit code and what it said."""
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local_stack.demo"),
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await demo.communicate()
    assert demo.returncode is not None
    return demo.returncode, said.decode()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run."""
    running = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
    return running


@contextlib.asynccontextmanager
async def local_run(folder: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[LocalRun]:
    """Run a local stack; end it and its processes afterwards."""
    run = LocalRun(folder, settings)
    try:
        yield run
    finally:
        left = alive(run.everything()) if run.process.poll() is None else []
        if left:
            with contextlib.suppress(TimeoutError):
                await run.interrupt()
        for process in alive(left):
            process.kill()


@contextlib.asynccontextmanager
async def ready_run(folder: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[LocalRun]:
    """Run a local stack that is ready and shows its sample run."""
    async with local_run(folder, settings) as run:
        await run.says("Ctrl-C stops everything")
        assert len(run.process.children()) == len(MODULES) + 2, "PostgreSQL, the broker and the services"
        yield run
