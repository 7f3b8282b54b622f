"""Services killed, suspended, or restarted in order."""

from __future__ import annotations

import asyncio
import signal

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage
from local_stack.services import MODULES
from local_stack.wait import until

HANG_SECONDS = 5.0
"""Longer than a lease, a watcher's ping and the gateway's wait for an outcome."""


def killed(service: str) -> Fault:
    """Kill a service with SIGKILL; the fleet restarts it."""

    async def inject(stage: Stage, load: Load) -> None:
        instance = stage.fleet[service]
        before = len(instance.ended)
        instance.process.kill()
        await until(lambda: len(instance.ended) > before, 5, "it is restarted")
        assert instance.ended[-1] == -signal.SIGKILL
        await stage.fleet.ready_one(instance)
        await load.runs_in_progress_end()

    return Fault(f"{service}: SIGKILL", inject)


def hung(service: str) -> Fault:
    """Suspend a service, and resume it."""

    async def inject(stage: Stage, load: Load) -> None:
        process = stage.fleet[service].process
        process.pause()
        await asyncio.sleep(HANG_SECONDS)  # the outage
        process.resume()
        await load.runs_in_progress_end()

    return Fault(f"{service}: SIGSTOP for {HANG_SECONDS:g} s, SIGCONT", inject)


async def roll(stage: Stage, load: Load) -> None:
    """Stop each service in order and start it again, one after the other."""
    for service in MODULES:
        instance = stage.fleet[service]
        await stage.fleet.stop_one(instance)
        stage.fleet.start_one(instance)
        await stage.fleet.ready_one(instance)
        await load.more(5)


FAULTS = [
    *map(killed, MODULES),
    *map(hung, MODULES),
    Fault("rolling restart of everything", roll),
]
