"""Services that die, hang, or are stopped in order."""

from __future__ import annotations

import asyncio
import signal

from chaos.faults import Fault
from chaos.load import Load
from chaos.stage import Stage
from local_stack.services import MODULES
from local_stack.wait import until

HANG_SECONDS = 5.0
"""Longer than a lease, a ping of the watchers and the gateway's wait for an outcome."""


def killed(service: str) -> Fault:
    """Kill a service with SIGKILL: it is started again by whoever keeps it."""

    async def do(stage: Stage, load: Load) -> None:
        instance = stage.fleet[service]
        before = len(instance.ended)
        instance.process.kill()
        await until(lambda: len(instance.ended) > before, 5, "it is started again")
        assert instance.ended[-1] == -signal.SIGKILL
        await stage.fleet.ready_one(instance)
        await load.begun_before_end()

    return Fault(f"{service}: SIGKILL", do)


def hung(service: str) -> Fault:
    """Let a service stand still, and go on."""

    async def do(stage: Stage, load: Load) -> None:
        process = stage.fleet[service].process
        process.pause()
        await asyncio.sleep(HANG_SECONDS)  # how long it hangs
        process.resume()
        await load.begun_before_end()

    return Fault(f"{service}: SIGSTOP for {HANG_SECONDS:g} s, SIGCONT", do)


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
