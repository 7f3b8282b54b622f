"""A worker in a process of its own that holds rate-limit reservations of an account until it is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

from provider_worker.adapters.postgres.storage import PostgresStorage
from provider_worker.rate_limits.reservations import Rule

_forks = multiprocessing.get_context("forkserver")


async def reserve_until_killed(url: str, rule: Rule, calls: int) -> int:
    """Let a worker reserve calls, kill it while it holds them, and return how many it got."""
    return await asyncio.to_thread(_reserve_until_killed, url, rule, calls)


def _reserve_until_killed(url: str, rule: Rule, calls: int) -> int:
    receiver, sender = _forks.Pipe(duplex=False)
    worker = _forks.Process(target=_hold, args=(url, rule, calls, sender), daemon=True)
    worker.start()
    sender.close()
    reserved = int(receiver.recv())
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    return reserved


def _hold(url: str, rule: Rule, calls: int, sender: Connection) -> None:
    async def hold() -> None:
        storage = PostgresStorage(url)
        await storage.open()
        reserved = await storage.reservations.reserve(rule, "killed", 0, [0] * calls)
        sender.send(len(reserved.begins_in))
        await asyncio.Event().wait()

    asyncio.run(hold())
