"""Deadlines that have passed become commands. They are rows of the ledger, so any orchestrator may look, and none keeps timers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic_core import to_json

from messaging.records import Outgoing, key_of
from orchestrator.aggregate import Aggregate, Command
from orchestrator.ports import Deadlines, DueRow, LedgerUnavailable, Publisher

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
        commands = [found for row in rows if (found := self._command(row)) is not None]
        sends = await self._producer.send_all(
            Outgoing(topic, key_of(stream_id), to_json(command)) for topic, stream_id, command in commands
        )
        await asyncio.gather(*sends)
        for _, _, command in commands:
            _FIRED.labels(command.kind).inc()
        return len(rows)

    def _command(self, row: DueRow) -> tuple[str, UUID, Command] | None:
        aggregate = self._aggregates[row.aggregate]
        command = aggregate.command_of(row.stream_id, row.due)
        if command is None:
            # A newer version set it; one of its orchestrators may take it the next time.
            _log.warning("a deadline of an unknown kind is left alone", kind=row.due.kind, stream=str(row.stream_id))
            return None
        return aggregate.commands.name, row.stream_id, command
