"""Publishing again from the ledger when the log is new: the embedded broker keeps nothing, and a cluster may be replaced.

Open runs get the orders that they still await. The last events of all runs go out again, for readers that had not seen them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol
from uuid import UUID

import structlog

from messaging.records import Outgoing
from orchestrator.intake.command_batch import event_record, order_records
from orchestrator.ports import Known, Publisher, Recorded
from orchestrator.runs import fold

LAST_DECISIONS = 60_000
"""How far back events go out again, nearly two to a decision; a reader that lags further rebuilds."""

PAGE = 500


class Archive(Protocol):
    """What of the ledger is needed to publish again."""

    async def waiting(self, after: UUID, limit: int) -> list[UUID]:
        """Return the runs that wait for a time, in pages by id."""

    async def load(self, run_ids: list[UUID]) -> Known:
        """Return the histories of runs."""

    async def last_position(self) -> int:
        """Return a position that no decision is beyond."""

    async def events_from(self, position: int, limit: int) -> list[tuple[int, Recorded]]:
        """Return the events of so many decisions in the order they were written, with their decision's position."""


_log = structlog.get_logger(__name__)


async def republish(archive: Archive, producer: Publisher) -> None:
    """Publish again what open runs await and what readers may have missed."""
    events = await _republish_events(archive, producer)
    orders = await _republish_orders(archive, producer)
    if events:
        _log.info("the log is new, published again from the ledger", events=events, orders=orders)


async def _republish_events(archive: Archive, producer: Publisher) -> int:
    count, position = 0, max(1, await archive.last_position() - LAST_DECISIONS)
    while page := await archive.events_from(position, PAGE):
        await _send(producer, [event_record(recorded) for _, recorded in page])
        count, position = count + len(page), page[-1][0] + 1
    return count


async def _republish_orders(archive: Archive, producer: Publisher) -> int:
    count, after = 0, UUID(int=0)
    while run_ids := await archive.waiting(after, PAGE):
        after = run_ids[-1]
        known = await archive.load(run_ids)
        orders: list[Outgoing] = []
        for history in known.histories.values():
            run = fold(recorded.event for recorded in history)
            if run is not None:
                orders += (order for recorded in history for order in order_records(recorded, run))
        await _send(producer, orders)
        count += len(orders)
    return count


async def _send(producer: Publisher, records: list[Outgoing]) -> None:
    await asyncio.gather(*await producer.send_all(records))
