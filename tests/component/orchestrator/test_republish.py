"""A new log: what open streams await goes out before commands are taken in, all else behind it, in pages of bounded size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.topics import EVENTS, WORK
from messaging.records import Outgoing
from orchestrator.aggregate import Deadline, Due
from orchestrator.intake.republish import republish_events, republish_following
from orchestrator.ports import PAGE_BYTES, Batch, Store, StoredEvent
from orchestrator.runs.aggregate import RUN
from testkit.kafka.memory_publisher import MemoryPublisher
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import moved
from testkit.runs.specification import Story

from .entries import NOW, recorded, write

WAITING = at_payload_review()
CALLING = WAITING.given(approve())
OVER = CALLING.given(executed(), approve())
LARGE = 300 * 1024


async def stored(store: Store, *stories: Story) -> list[UUID]:
    """Write runs with these histories; return their ids."""
    ids = [uuid4() for _ in stories]
    for run_id, story in zip(ids, stories, strict=True):
        events = [StoredEvent(run_id, event, event.to_bytes()) for event in moved(story, run_id)]
        state = RUN.fold(one.event for one in events)
        assert state is not None
        await store.transact(Batch([], events, deadlines=[RUN.deadline(run_id, state)]))
    return ids


def published(publisher: MemoryPublisher, topic: str) -> list[str]:
    """Return the keys of what was sent to a topic, in order."""
    return [(record.key or b"").decode() for record in publisher.sent if record.topic == topic]


async def test_orders_of_open_runs_go_out_first_and_events_behind_them(store: Store) -> None:
    """Before commands are taken in, runs with an order get it again, and nothing else is published; then every event is."""
    waiting, calling, over = await stored(store, WAITING, CALLING, OVER)
    publisher = MemoryPublisher()
    await republish_following(RUN, store, publisher)
    assert [(record.topic, (record.key or b"").decode()) for record in publisher.sent] == [(WORK.name, str(calling))]
    await republish_events(RUN, store, publisher)
    sent = published(publisher, EVENTS.name)
    assert {run_id: sent.count(str(run_id)) for run_id in (waiting, calling, over)} == {
        waiting: len(WAITING.history),
        calling: len(CALLING.history),
        over: len(OVER.history),
    }


async def test_events_are_published_again_once(store: Store) -> None:
    """A log that has them is left alone, at each later start."""
    await stored(store, WAITING, OVER)
    await republish_following(RUN, store, MemoryPublisher())
    await republish_events(RUN, store, MemoryPublisher())
    publisher = MemoryPublisher()
    await republish_events(RUN, store, publisher)
    assert publisher.sent == []


class Failing(MemoryPublisher):
    """A publisher that fails after so many calls, and notes how many bytes a call had at most."""

    def __init__(self, calls: float) -> None:
        super().__init__()
        self.left = calls
        self.most = 0

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records, or fail."""
        if self.left == 0:
            raise ConnectionError("cut short")
        self.left -= 1
        taken = list(records)
        self.most = max(self.most, sum(len(record.value or b"") for record in taken))
        return await super().send_all(taken)


async def large(store: Store, count: int) -> list[UUID]:
    """Write large events of so many streams, each of which waits for a person."""
    ids = sorted(uuid4() for _ in range(count))
    for number, run_id in enumerate(ids):
        await write(store, number, number + 1, events=[recorded(run_id, 1, "x" * LARGE)])
        waits = Due("expire-checkpoint.v1", "default", NOW, "c", 0)
        await store.transact(Batch([], deadlines=[Deadline(run_id, waits)]))
    return ids


async def test_pages_are_bounded_by_bytes(store: Store) -> None:
    """However large runs are, a page holds a megabyte and one of them more; every one is in a page, once."""
    ids = await large(store, 12)
    publisher = Failing(calls=1_000)
    await republish_following(RUN, store, publisher)
    await republish_events(RUN, store, publisher)
    assert published(publisher, EVENTS.name) == [str(run_id) for run_id in ids]
    assert LARGE < publisher.most < PAGE_BYTES + LARGE + 4096
    after, found = UUID(int=0), list[UUID]()
    while page := await store.waiting(after, 500):
        assert len(page) <= PAGE_BYTES // LARGE + 1
        found, after = [*found, *page], page[-1]
    assert found == ids


async def test_a_start_that_was_cut_short_goes_on_where_it_was(store: Store) -> None:
    """Each event is published by the two together, and none of a page that had arrived comes again."""
    ids = await large(store, 12)
    first, second = Failing(calls=2), Failing(calls=1_000)
    await republish_following(RUN, store, MemoryPublisher())
    with pytest.raises(ConnectionError):
        await republish_events(RUN, store, first)
    await republish_events(RUN, store, second)
    assert published(first, EVENTS.name) + published(second, EVENTS.name) == [str(run_id) for run_id in ids]
    assert published(first, EVENTS.name)
