"""The hub, for clients that come late: each event after their cursor or their snapshot follows, and once."""

from __future__ import annotations

import pytest

from notifier.errors import SnapshotTooOld
from notifier.hub.cursor import Cursor, encode
from testkit.runs.pushed_events import ANN, ANN_ELSEWHERE, BOB, HubPublisher, Listener, WatchedRun, hub_of

# ---- returning with a cursor


def test_a_client_that_returns_gets_the_missed_events_and_no_others() -> None:
    """No event before its cursor is repeated; new ones follow."""
    hub = hub_of()
    publisher, first = HubPublisher(hub), Listener(hub, user_id="ann").live()
    publisher.publish(ANN, times=2)
    first.listen()
    hub.leave(first.client)
    publisher.publish(ANN)
    publisher.publish(BOB)
    returned = Listener(hub, user_id="ann")
    assert hub.resume(returned.client, first.cursor)
    publisher.publish(ANN_ELSEWHERE)
    assert returned.listen() == [(ANN.run_id, 3), (ANN_ELSEWHERE.run_id, 1)]


def test_a_cursor_is_good_on_an_instance_that_read_the_partitions_in_another_order() -> None:
    """A cursor names a place in the log, not in an instance."""
    here, there = hub_of(2), hub_of(2)
    zero, one = WatchedRun(partition=0), WatchedRun(partition=1)
    publisher, listener = HubPublisher(here), Listener(here).live()
    publisher.publish(one)
    publisher.publish(zero)
    listener.listen(most=1)
    other = HubPublisher(there)
    other.publish(zero)
    other.publish(one)
    returned = Listener(there)
    assert there.resume(returned.client, listener.cursor)
    assert returned.listen() == [(zero.run_id, 1)]


def test_a_cursor_from_an_instance_that_is_further_misses_nothing() -> None:
    """The instance that is behind continues from its own position."""
    ahead, behind = hub_of(), hub_of()
    listener = Listener(ahead).live()
    HubPublisher(ahead).publish(ANN, times=3)
    listener.listen()
    late = HubPublisher(behind)
    late.publish(ANN)
    returned = Listener(behind)
    assert behind.resume(returned.client, listener.cursor)
    late.publish(ANN, times=3)
    assert (ANN.run_id, 4) in returned.listen()


def test_a_cursor_before_the_event_buffer_needs_a_snapshot() -> None:
    """The hub says so and leaves no event out."""
    hub = hub_of(buffer_count=3)
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN)
    listener.listen()
    publisher.publish(ANN, times=3)
    assert hub.resume(Listener(hub).client, listener.cursor)
    publisher.publish(ANN)
    assert not hub.resume(Listener(hub).client, listener.cursor)


def test_the_event_buffer_is_bounded_by_size_too() -> None:
    """Large events evict more of the old ones."""
    hub = hub_of(buffer_size=5_000)
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN)
    listener.listen()
    publisher.publish(ANN, size=4_000)
    assert hub.resume(Listener(hub).client, listener.cursor)
    publisher.publish(ANN, size=4_000)
    assert not hub.resume(Listener(hub).client, listener.cursor)


def test_an_event_larger_than_the_event_buffer_still_arrives() -> None:
    """It is not buffered, and nothing else is different."""
    hub = hub_of(buffer_size=100)
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN, size=1_000)
    assert listener.listen() == [(ANN.run_id, 1)]
    assert hub.resume(Listener(hub).client, listener.cursor)


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", encode(Cursor("another log", (0,))), encode(Cursor("log", (0,)))[:-2]]
)
def test_a_cursor_of_another_log_and_a_damaged_one_need_a_snapshot(cursor: str) -> None:
    """Offsets of another log mean nothing here."""
    assert not hub_of().resume(Listener(hub_of()).client, cursor)


@pytest.mark.parametrize(("its", "mine"), [("acme", "default"), ("default", "acme"), ("acme", "other")])
def test_a_cursor_of_another_tenant_needs_a_snapshot(its: str, mine: str) -> None:
    """One's own serves, whichever way one got it: by an event, or by a snapshot."""
    hub = hub_of()
    owner, stranger = Listener(hub, tenant=its), Listener(hub, tenant=mine)
    for cursor in (hub.cursor_at(0, 0, its), hub.follow(owner.client, {})):
        assert hub.resume(Listener(hub, tenant=its).client, cursor)
        assert not hub.resume(stranger.client, cursor)


def test_a_cursor_with_fewer_partitions_reads_the_new_ones_from_the_beginning() -> None:
    """Partitions can be added to a topic."""
    hub = hub_of(2)
    new = WatchedRun(partition=1)
    HubPublisher(hub).publish(new)
    returned = Listener(hub)
    assert hub.resume(returned.client, encode(Cursor("log", (0,))))
    assert returned.listen() == [(new.run_id, 1)]


def test_a_cursor_with_more_partitions_than_are_known_here_needs_a_snapshot() -> None:
    """Another instance reads an added partition already: what the client has of it would come again, and is not cut off unseen."""
    assert not hub_of(1).resume(Listener(hub_of(1)).client, encode(Cursor("log", (0, 4))))


def test_partitions_that_are_added_while_a_snapshot_is_taken_are_followed() -> None:
    """The events of a new partition follow the snapshot, in order, and later ones go on."""
    hub = hub_of(1)
    publisher, joined = HubPublisher(hub), Listener(hub)
    publisher.publish(ANN)
    hub.cover(3)
    new = WatchedRun(partition=2)
    publisher.publish(new, times=2)
    hub.follow(joined.client, {ANN.run_id: 1})
    publisher.publish(new)
    assert joined.listen() == [(new.run_id, 1), (new.run_id, 2), (new.run_id, 3)]
    returned = Listener(hub)
    assert hub.resume(returned.client, joined.cursor)
    publisher.publish(ANN)
    assert returned.listen() == [(ANN.run_id, 2)]


def test_a_skipped_record_moves_the_cursor_on() -> None:
    """A malformed record is not read again at each return."""
    hub = hub_of()
    hub.advance(0, 5)
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN)
    listener.listen()
    assert listener.heard[0].offset == 5
    assert hub.resume(Listener(hub).client, hub.cursor_at(0, 0))


# ---- starting from a snapshot


def test_events_that_come_while_a_snapshot_is_taken_follow_it() -> None:
    """A client joins before its snapshot is taken."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    publisher.publish(ANN, times=2)
    listener = Listener(hub)
    publisher.publish(ANN)
    hub.follow(listener.client, {ANN.run_id: 2})
    publisher.publish(ANN)
    assert listener.listen() == [(ANN.run_id, 3), (ANN.run_id, 4)]


def test_events_that_the_read_model_did_not_have_follow_the_snapshot() -> None:
    """It lags behind the log: it may miss events from before the join."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    publisher.publish(ANN, times=5)
    publisher.publish(BOB, times=2)
    listener = Listener(hub)
    hub.follow(listener.client, {ANN.run_id: 3})
    assert listener.listen() == [(ANN.run_id, 4), (ANN.run_id, 5), (BOB.run_id, 1), (BOB.run_id, 2)]


def test_events_that_the_snapshot_shows_are_not_repeated() -> None:
    """The read model can be ahead of this instance as well."""
    hub = hub_of()
    publisher, listener = HubPublisher(hub), Listener(hub)
    hub.follow(listener.client, {ANN.run_id: 2})
    publisher.publish(ANN, times=3)
    assert listener.listen() == [(ANN.run_id, 3)]


def test_runs_that_were_over_before_the_join_are_left_out() -> None:
    """The snapshot leaves them out, and so does the backlog."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    publisher.publish(ANN)
    publisher.publish(ANN, over=True)
    listener = Listener(hub)
    hub.follow(listener.client, {})
    assert listener.listen() == []


def test_a_run_that_the_snapshot_shows_as_open_arrives_to_its_end() -> None:
    """It was over before the client joined, and the read model lagged."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    publisher.publish(ANN)
    publisher.publish(ANN, over=True)
    listener = Listener(hub)
    hub.follow(listener.client, {ANN.run_id: 1})
    assert listener.listen() == [(ANN.run_id, 2)]


def test_the_snapshots_cursor_leads_to_the_events_after_the_snapshot() -> None:
    """A client that is cut off right after its snapshot gets the events that the read model did not have."""
    hub = hub_of(2)
    other = WatchedRun(partition=1)
    publisher = HubPublisher(hub)
    publisher.publish(ANN, times=3)
    publisher.publish(other, times=2)
    listener = Listener(hub)
    cursor = hub.follow(listener.client, {ANN.run_id: 2, other.run_id: 2})
    returned = Listener(hub)
    assert hub.resume(returned.client, cursor)
    assert returned.listen() == [(ANN.run_id, 3)]


def test_a_snapshot_that_took_longer_than_the_event_buffer_holds_is_refused() -> None:
    """It is taken again: events since the join were evicted."""
    hub = hub_of(buffer_count=3)
    publisher, listener = HubPublisher(hub), Listener(hub)
    publisher.publish(ANN, times=4)
    with pytest.raises(SnapshotTooOld):
        hub.follow(listener.client, {})


def test_a_snapshot_that_does_not_reach_the_event_buffer_is_refused() -> None:
    """The read model is too far behind: events between it and the buffer are in neither."""
    hub = hub_of(buffer_count=2)
    publisher = HubPublisher(hub)
    publisher.publish(ANN, times=5)
    for shown in ({ANN.run_id: 2}, {}):
        with pytest.raises(SnapshotTooOld):
            hub.follow(Listener(hub).client, shown)
    hub.follow(Listener(hub).client, {ANN.run_id: 3})


def test_a_partial_snapshot_may_leave_open_runs_out() -> None:
    """Their next events follow all the same."""
    hub = hub_of(buffer_count=2)
    publisher, listener = HubPublisher(hub), Listener(hub)
    publisher.publish(ANN, times=2)
    listener = Listener(hub)
    publisher.publish(ANN, times=2)
    hub.follow(listener.client, {}, partial=True)
    assert listener.listen() == [(ANN.run_id, 3), (ANN.run_id, 4)]


def test_a_long_backlog_does_not_make_a_client_a_slow_one() -> None:
    """The bounds of the queue count new events alone."""
    hub = hub_of(queue_count=2)
    publisher = HubPublisher(hub)
    publisher.publish(ANN, times=10)
    listener = Listener(hub)
    hub.follow(listener.client, {})
    publisher.publish(ANN, times=2)
    assert listener.client.disconnected is None
    assert [version for _, version in listener.listen()] == list(range(1, 13))
