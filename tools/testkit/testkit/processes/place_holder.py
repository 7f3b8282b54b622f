"""A worker in a process of its own that holds places of an account until it is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

from provider_worker.adapters.postgres.pool import create_pool
from provider_worker.adapters.postgres.reservations import PostgresBookings
from provider_worker.rate_limits.reservations import Rule

_forks = multiprocessing.get_context("forkserver")


async def hold_and_die(url: str, rule: Rule, calls: int) -> int:
    """Let a worker begin calls, kill it while they run, and return how many it was given."""
    return await asyncio.to_thread(_hold_and_die, url, rule, calls)


def _hold_and_die(url: str, rule: Rule, calls: int) -> int:
    ear, mouth = _forks.Pipe(duplex=False)
    worker = _forks.Process(target=_hold, args=(url, rule, calls, mouth), daemon=True)
    worker.start()
    mouth.close()
    given = int(ear.recv())
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    return given


def _hold(url: str, rule: Rule, calls: int, mouth: Connection) -> None:
    async def hold() -> None:
        booked = await PostgresBookings(await create_pool(url)).book(rule, "killed", 0, [0] * calls)
        mouth.send(len(booked.begins_in))
        await asyncio.Event().wait()

    asyncio.run(hold())
