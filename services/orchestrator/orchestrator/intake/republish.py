"""Publishing again from the ledger when the log is new: the embedded broker keeps nothing, and a cluster may be replaced.

Orders and notices that still follow for open streams go out first: then commands can be taken in. Behind that, the last events of all
streams go out again for readers that lack them, in pages, and what is left of it is kept: a start that was cut short goes on there.
"""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

import structlog

from messaging.records import Outgoing
from orchestrator.aggregate import Aggregate, C, S
from orchestrator.intake.records import event_record
from orchestrator.ports import Archive, Publisher

LAST_COMMITS = 60_000
"""How far back events go out again, nearly two to a commit; a reader that lags further rebuilds."""

PAGE = 500
SAY_SECONDS = 5.0

_log = structlog.get_logger(__name__)


async def republish_following(aggregate: Aggregate[C, S], archive: Archive, producer: Publisher) -> None:
    """Publish again what open streams await, and keep from where on their events are to follow."""
    first = max(1, await archive.last_position() - LAST_COMMITS)
    count, after = 0, UUID(int=0)
    while stream_ids := await archive.waiting(after, PAGE, aggregate.ordering_kinds):
        after = stream_ids[-1]
        following: list[Outgoing] = []
        for history in (await archive.load(stream_ids)).histories.values():
            state = aggregate.fold(stored.event for stored in history)
            if state is not None:
                following += (record for stored in history for record in aggregate.follow(stored.event, state))
        await _send(producer, following)
        count += len(following)
    await archive.keep_republish_from(first)
    if count:
        _log.info("the log is new, orders were published again", orders=count)


async def republish_events(aggregate: Aggregate[C, S], archive: Archive, producer: Publisher) -> None:
    """Publish again the events that the log lacks, beside everything else: after each page the others have as long as it took."""
    position = await archive.republish_from()
    if position is None:
        return
    count, last, said = 0, await archive.last_position(), time.monotonic()
    while position <= last and (page := await archive.events_from(position, PAGE)):
        began = time.monotonic()
        await _send(producer, [event_record(aggregate, stored) for _, stored in page])
        count, position = count + len(page), page[-1][0] + 1
        await archive.keep_republish_from(position)
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            _log.info("publishing earlier events again", events=count, commit=position - 1, of=last)
        await asyncio.sleep(time.monotonic() - began)
    await archive.keep_republish_from(None)
    if count:
        _log.info("the log has the earlier events", events=count)


async def _send(producer: Publisher, records: list[Outgoing]) -> None:
    await asyncio.gather(*await producer.send_all(records))
