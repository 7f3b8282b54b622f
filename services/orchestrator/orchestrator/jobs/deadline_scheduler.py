"""Due deadlines become commands. What falls due is in the ledger, so any orchestrator may look, and none keeps timers."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from prometheus_client import Counter

from contracts.topics import COMMANDS
from messaging.records import Outgoing
from orchestrator.ports import LedgerAway, Publisher
from orchestrator.runs import Deadline, command_of

TICK_SECONDS = 0.2
AT_ONCE = 500

_FIRED = Counter("sayso_deadlines_fired_total", "Commands sent because their time had come", ["kind"])
_log = structlog.get_logger(__name__)


class Deadlines(Protocol):
    """Where due commands are taken from."""

    async def take_due(self, limit: int) -> list[Deadline]:
        """Return the deadlines that are due, each to one caller; they fire again unless their run moves on."""


class Clock:
    """Sends the command of each deadline that is due."""

    def __init__(self, deadlines: Deadlines, producer: Publisher) -> None:
        self._deadlines = deadlines
        self._producer = producer

    async def run(self) -> None:
        """Tick for ever. A tick that fails is made good by a later one: what was taken fires again."""
        away = False
        while True:
            try:
                full = await self.tick() == AT_ONCE
                away = False
            except LedgerAway as error:
                full = False
                if not away:
                    _log.warning("the ledger is away, deadlines wait", reason=str(error))
                away = True
            if not full:
                await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> int:
        """Send what is due now; return how many commands that were."""
        due = await self._deadlines.take_due(AT_ONCE)
        if due:
            commands = [command_of(deadline.run_id, deadline.due) for deadline in due if deadline.due]
            sends = await self._producer.send_all(
                Outgoing(COMMANDS.name, str(command.run_id).encode(), command.model_dump_json().encode())
                for command in commands
            )
            await asyncio.gather(*sends)
            for command in commands:
                _FIRED.labels(command.kind).inc()
        return len(due)
