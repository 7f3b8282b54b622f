"""Publishing again from the ledger when the log is new: the embedded broker keeps nothing, and a cluster may be replaced.

Open streams get the orders and notices that still follow. The last events of all streams go out again, for readers that lack them.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from messaging.records import Outgoing
from orchestrator.aggregate import Aggregate, C, S
from orchestrator.intake.records import event_record
from orchestrator.ports import Archive, Publisher

LAST_COMMITS = 60_000
"""How far back events go out again, nearly two to a commit; a reader that lags further rebuilds."""

PAGE = 500

_log = structlog.get_logger(__name__)


async def republish(aggregate: Aggregate[C, S], archive: Archive, producer: Publisher) -> None:
    """Publish again what open streams await and what readers may have missed."""
    events = await _republish_events(aggregate, archive, producer)
    following = await _republish_following(aggregate, archive, producer)
    if events:
        _log.info("the log is new, published again from the ledger", events=events, following=following)


async def _republish_events(aggregate: Aggregate[C, S], archive: Archive, producer: Publisher) -> int:
    count, position = 0, max(1, await archive.last_position() - LAST_COMMITS)
    while page := await archive.events_from(position, PAGE):
        await _send(producer, [event_record(aggregate, stored) for _, stored in page])
        count, position = count + len(page), page[-1][0] + 1
    return count


async def _republish_following(aggregate: Aggregate[C, S], archive: Archive, producer: Publisher) -> int:
    count, after = 0, UUID(int=0)
    while stream_ids := await archive.waiting(after, PAGE):
        after = stream_ids[-1]
        loaded = await archive.load(stream_ids)
        following: list[Outgoing] = []
        for history in loaded.histories.values():
            state = aggregate.fold(stored.event for stored in history)
            if state is not None:
                following += (record for stored in history for record in aggregate.follow(stored.event, state))
        await _send(producer, following)
        count += len(following)
    return count


async def _send(producer: Publisher, records: list[Outgoing]) -> None:
    await asyncio.gather(*await producer.send_all(records))
