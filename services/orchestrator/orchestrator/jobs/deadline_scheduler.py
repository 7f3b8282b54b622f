"""Deadlines that have passed become commands. They are rows of the ledger, so any orchestrator may look, and none keeps timers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
from prometheus_client import Counter
from pydantic_core import to_json

from messaging.records import Outgoing
from orchestrator.aggregate import Aggregate, key_of
from orchestrator.ports import Deadlines, LedgerUnavailable, Publisher

TICK_SECONDS = 0.2
AT_ONCE = 500

_FIRED = Counter("sayso_deadlines_fired_total", "Commands sent because their time had come", ["kind"])
_log = structlog.get_logger(__name__)


class DeadlineScheduler:
    """Sends the command of each deadline that has passed, to its aggregate."""

    def __init__(self, deadlines: Deadlines, producer: Publisher, aggregates: Iterable[Aggregate[Any, Any]]) -> None:
        self._deadlines = deadlines
        self._producer = producer
        self._aggregates = {aggregate.name: aggregate for aggregate in aggregates}

    async def run(self) -> None:
        """Tick for ever. A tick that fails is made good by a later one: what was taken fires again."""
        unavailable = False
        while True:
            try:
                full = await self.tick() == AT_ONCE
                unavailable = False
            except LedgerUnavailable as error:
                full = False
                if not unavailable:
                    _log.warning("the ledger is unavailable, deadlines wait", reason=str(error))
                unavailable = True
            if not full:
                await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> int:
        """Send what is due now; return how many deadlines that were."""
        rows = await self._deadlines.take_due(list(self._aggregates), AT_ONCE)
        if rows:
            hosts = [self._aggregates[row.aggregate] for row in rows]
            commands = [host.command_of(row.stream_id, row.due) for host, row in zip(hosts, rows, strict=True)]
            sends = await self._producer.send_all(
                Outgoing(host.commands.name, key_of(row.stream_id), to_json(command))
                for host, row, command in zip(hosts, rows, commands, strict=True)
            )
            await asyncio.gather(*sends)
            for command in commands:
                _FIRED.labels(command.kind).inc()
        return len(rows)
