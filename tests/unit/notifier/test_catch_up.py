"""First connection of a client: the snapshot is taken again until it meets the event buffer, but not forever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.runs.tasks.readers import reader_of
from notifier.edges.catch_up import PAUSES, catch_up
from notifier.edges.snapshots import Snapshots
from notifier.errors import GatewayUnavailable, SnapshotTooOld
from notifier.hub.client import Filters
from notifier.hub.hub import Hub
from notifier.ports import Snapshot
from notifier.testing.gateway import MemoryGateway
from testkit.memory_transport import loop_turn
from testkit.runs.people import BO
from testkit.runs.pushed_events import HubPublisher, WatchedRun, events_in, hub_of

ANN = WatchedRun()


class ReadModel(MemoryGateway):
    """Shows one snapshot after the other, the last one again and again; `meanwhile` events come while it is asked."""

    def __init__(self, publisher: HubPublisher, *snapshots: Snapshot, meanwhile: int = 0) -> None:
        super().__init__()
        self._talker = publisher
        self._snapshots = snapshots
        self._meanwhile = meanwhile

    async def snapshot(self, **_: Any) -> Snapshot:
        """Return the next snapshot."""
        self.requests += 1
        await self.answering.wait()
        self._talker.publish(ANN, times=self._meanwhile)
        return self._snapshots[min(self.requests, len(self._snapshots)) - 1]


def showing(version: int | None = None, *, truncated: bool = False) -> Snapshot:
    """Return a snapshot of Ann's run at a version, or of no run."""
    view = {"run_id": ANN.run_id, "version": version, "created_at": "", "checkpoint": None}
    return Snapshot.of([view] if version else [], truncated=truncated)


def five_versions_on(hub: Hub) -> HubPublisher:
    """Return a publisher that has published five versions to a hub that holds two."""
    publisher = HubPublisher(hub)
    publisher.publish(ANN, times=5)
    return publisher


async def test_the_snapshot_is_taken_again_until_the_read_model_is_far_enough() -> None:
    """A client waits a moment rather than miss an event."""
    hub = hub_of(buffer_count=2)
    model = ReadModel(five_versions_on(hub), showing(1), showing(4))
    client, snapshot, _ = await catch_up(hub, Filters(), lambda: None, Snapshots(hub, model))
    assert model.requests == 2
    assert snapshot.versions == {ANN.run_id: 4}
    assert [one.version for one in events_in(client.take())] == [5]


async def test_one_run_with_lost_records_does_not_keep_all_others_from_a_client() -> None:
    """The last snapshot is followed as a partial one."""
    hub = hub_of(buffer_count=2)
    model = ReadModel(five_versions_on(hub), showing(1))
    client, _, _ = await catch_up(hub, Filters(), lambda: None, Snapshots(hub, model))
    assert model.requests == len(PAUSES)
    assert [one.version for one in events_in(client.take())] == [4, 5]


async def test_an_event_whose_readers_are_not_known_holds_up_one_client_and_no_later_one() -> None:
    """The read model was given time to show its run; who may not see it would wait for ever."""
    hub, filters = hub_of(), Filters(reader=reader_of(BO))
    hub.publish(HubPublisher(hub).notification(ANN, 2)._replace(readers=None))
    model = MemoryGateway()
    for count in (len(PAUSES), len(PAUSES) + 1):
        client, _, _ = await catch_up(hub, filters, lambda: None, Snapshots(hub, model))
        assert model.requests == count
        assert client.take() == []


async def test_a_truncated_snapshot_is_followed_at_once() -> None:
    """The runs that it leaves out are no hole."""
    hub = hub_of(buffer_count=2)
    model = ReadModel(five_versions_on(hub), showing(truncated=True))
    await catch_up(hub, Filters(), lambda: None, Snapshots(hub, model))
    assert model.requests == 1


async def test_a_client_whose_every_snapshot_is_too_old_is_refused() -> None:
    """More events come during each snapshot than the buffer holds."""
    hub = hub_of(buffer_count=2)
    model = ReadModel(five_versions_on(hub), showing(1), meanwhile=3)
    with pytest.raises(SnapshotTooOld):
        await catch_up(hub, Filters(), lambda: None, Snapshots(hub, model))


async def test_a_run_that_is_watched_by_its_id_arrives_though_it_is_over() -> None:
    """The snapshot shows nothing of it, so all of its events follow."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    publisher.publish(ANN)
    publisher.publish(ANN, over=True)
    client, _, _ = await catch_up(
        hub, Filters(run_id=ANN.run_id), lambda: None, Snapshots(hub, ReadModel(publisher, showing()))
    )
    assert [one.version for one in events_in(client.take())] == [1, 2]


async def test_clients_with_equal_filters_share_one_question() -> None:
    """Each follows the hub from before the question, so that none of them misses what came while it was asked."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    publisher.publish(ANN)
    model = ReadModel(publisher, showing(1))
    model.answering.clear()
    snapshots = Snapshots(hub, model)
    first = asyncio.create_task(catch_up(hub, Filters(), lambda: None, snapshots))
    await loop_turn()
    publisher.publish(ANN)
    later = [asyncio.create_task(catch_up(hub, Filters(), lambda: None, snapshots)) for _ in range(50)]
    other = asyncio.create_task(catch_up(hub, Filters(user_id="ann"), lambda: None, snapshots))
    await loop_turn()
    publisher.publish(ANN)
    first.cancel()
    model.answering.set()
    for caught_up in await asyncio.gather(*later):
        assert [one.version for one in events_in(caught_up.client.take())] == [2, 3]
    await other
    assert model.requests == 2


async def test_a_question_that_fails_fails_for_those_who_asked_it() -> None:
    """The next client asks again."""
    hub, model = hub_of(), MemoryGateway()
    snapshots = Snapshots(hub, model)
    model.unavailable = True
    asking = [asyncio.create_task(snapshots.take(Filters())) for _ in range(3)]
    failed = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(each) for each in failed} == {GatewayUnavailable}
    model.unavailable = False
    assert (await snapshots.take(Filters())).parts.versions == {}
