"""The hub, for clients that come late: what they missed follows their cursor or their snapshot, all of it, and once."""

from __future__ import annotations

import pytest

from notifier.hub.cursor import Cursor, encode
from notifier.hub.hub import Overtaken
from testkit.runs.pushed_events import ANN, ANN_TOO, BOB, Listener, Talker, Watched, hub_of

# ---- returning with a cursor


def test_a_client_that_returns_gets_what_it_missed_and_nothing_else() -> None:
    """What came before its cursor is not said again; what comes now follows."""
    hub = hub_of()
    talker, first = Talker(hub), Listener(hub, user_id="ann").live()
    talker.publish(ANN, times=2)
    first.listen()
    hub.leave(first.client)
    talker.publish(ANN)
    talker.publish(BOB)
    returned = Listener(hub, user_id="ann")
    assert hub.resume(returned.client, first.cursor)
    talker.publish(ANN_TOO)
    assert returned.listen() == [(ANN.run_id, 3), (ANN_TOO.run_id, 1)]


def test_a_cursor_is_good_on_an_instance_that_read_the_partitions_in_another_order() -> None:
    """A cursor names a place in the log, not in an instance."""
    here, there = hub_of(2), hub_of(2)
    zero, one = Watched(partition=0), Watched(partition=1)
    talker, listener = Talker(here), Listener(here).live()
    talker.publish(one)
    talker.publish(zero)
    listener.listen(most=1)
    other = Talker(there)
    other.publish(zero)
    other.publish(one)
    returned = Listener(there)
    assert there.resume(returned.client, listener.cursor)
    assert returned.listen() == [(zero.run_id, 1)]


def test_a_cursor_from_an_instance_that_is_further_misses_nothing() -> None:
    """The instance that is behind goes on from where it stands."""
    ahead, behind = hub_of(), hub_of()
    listener = Listener(ahead).live()
    Talker(ahead).publish(ANN, times=3)
    listener.listen()
    late = Talker(behind)
    late.publish(ANN)
    returned = Listener(behind)
    assert behind.resume(returned.client, listener.cursor)
    late.publish(ANN, times=3)
    assert (ANN.run_id, 4) in returned.listen()


def test_a_cursor_that_the_ring_no_longer_reaches_needs_a_snapshot() -> None:
    """It says so instead of leaving something out."""
    hub = hub_of(ring_count=3)
    talker, listener = Talker(hub), Listener(hub).live()
    talker.publish(ANN)
    listener.listen()
    talker.publish(ANN, times=3)
    assert hub.resume(Listener(hub).client, listener.cursor)
    talker.publish(ANN)
    assert not hub.resume(Listener(hub).client, listener.cursor)


def test_the_ring_is_bounded_by_size_too() -> None:
    """Large events push out more of the old ones."""
    hub = hub_of(ring_size=5_000)
    talker, listener = Talker(hub), Listener(hub).live()
    talker.publish(ANN)
    listener.listen()
    talker.publish(ANN, size=4_000)
    assert hub.resume(Listener(hub).client, listener.cursor)
    talker.publish(ANN, size=4_000)
    assert not hub.resume(Listener(hub).client, listener.cursor)


def test_an_event_larger_than_the_ring_is_still_heard() -> None:
    """It is only not kept."""
    hub = hub_of(ring_size=100)
    talker, listener = Talker(hub), Listener(hub).live()
    talker.publish(ANN, size=1_000)
    assert listener.listen() == [(ANN.run_id, 1)]
    assert hub.resume(Listener(hub).client, listener.cursor)


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", encode(Cursor("another log", (0,))), encode(Cursor("log", (0,)))[:-2]]
)
def test_a_cursor_of_another_log_and_one_that_is_none_need_a_snapshot(cursor: str) -> None:
    """Offsets of another log mean nothing here."""
    assert not hub_of().resume(Listener(hub_of()).client, cursor)


def test_a_cursor_with_fewer_partitions_begins_the_new_ones_at_their_beginning() -> None:
    """Partitions can be added to a topic."""
    hub = hub_of(2)
    new = Watched(partition=1)
    Talker(hub).publish(new)
    returned = Listener(hub)
    assert hub.resume(returned.client, encode(Cursor("log", (0,))))
    assert returned.listen() == [(new.run_id, 1)]


def test_what_is_of_no_interest_moves_the_cursor_on() -> None:
    """A malformed record is not asked for again and again."""
    hub = hub_of()
    hub.advance(0, 5)
    talker, listener = Talker(hub), Listener(hub).live()
    talker.publish(ANN)
    listener.listen()
    assert listener.heard[0].offset == 5
    assert hub.resume(Listener(hub).client, hub.oldest_cursor)


# ---- beginning with a snapshot


def test_what_happens_while_a_snapshot_is_taken_is_not_lost() -> None:
    """Joined first, looked then: what came in between follows the snapshot."""
    hub = hub_of()
    talker = Talker(hub)
    talker.publish(ANN, times=2)
    listener = Listener(hub)
    talker.publish(ANN)
    hub.follow(listener.client, {ANN.run_id: 2})
    talker.publish(ANN)
    assert listener.listen() == [(ANN.run_id, 3), (ANN.run_id, 4)]


def test_what_the_read_model_had_not_learnt_yet_follows_the_snapshot() -> None:
    """It lags behind the log: events from before the joining may be missing in it."""
    hub = hub_of()
    talker = Talker(hub)
    talker.publish(ANN, times=5)
    talker.publish(BOB, times=2)
    listener = Listener(hub)
    hub.follow(listener.client, {ANN.run_id: 3})
    assert listener.listen() == [(ANN.run_id, 4), (ANN.run_id, 5), (BOB.run_id, 1), (BOB.run_id, 2)]


def test_what_the_snapshot_shows_is_not_said_again_when_the_feed_comes_to_it() -> None:
    """The read model can be ahead of this instance as well."""
    hub = hub_of()
    talker, listener = Talker(hub), Listener(hub)
    hub.follow(listener.client, {ANN.run_id: 2})
    talker.publish(ANN, times=3)
    assert listener.listen() == [(ANN.run_id, 3)]


def test_runs_that_were_over_before_are_not_told_to_who_begins() -> None:
    """A snapshot leaves them out, and so does what follows it."""
    hub = hub_of()
    talker = Talker(hub)
    talker.publish(ANN)
    talker.publish(ANN, over=True)
    listener = Listener(hub)
    hub.follow(listener.client, {})
    assert listener.listen() == []


def test_a_run_that_the_snapshot_shows_as_open_is_told_to_its_end() -> None:
    """Though it was over before the client joined."""
    hub = hub_of()
    talker = Talker(hub)
    talker.publish(ANN)
    talker.publish(ANN, over=True)
    listener = Listener(hub)
    hub.follow(listener.client, {ANN.run_id: 1})
    assert listener.listen() == [(ANN.run_id, 2)]


def test_the_snapshots_cursor_brings_back_what_follows_the_snapshot() -> None:
    """A client that is cut off right behind its snapshot has missed what the read model did not have."""
    hub = hub_of(2)
    other = Watched(partition=1)
    talker = Talker(hub)
    talker.publish(ANN, times=3)
    talker.publish(other, times=2)
    listener = Listener(hub)
    cursor = hub.follow(listener.client, {ANN.run_id: 2, other.run_id: 2})
    returned = Listener(hub)
    assert hub.resume(returned.client, cursor)
    assert returned.listen() == [(ANN.run_id, 3)]


def test_a_snapshot_that_took_longer_than_the_ring_holds_is_refused() -> None:
    """It must be taken again: what came in between is not all there."""
    hub = hub_of(ring_count=3)
    talker, listener = Talker(hub), Listener(hub)
    talker.publish(ANN, times=4)
    with pytest.raises(Overtaken):
        hub.follow(listener.client, {})


def test_a_snapshot_that_does_not_reach_what_the_ring_holds_is_refused() -> None:
    """The read model is too far behind: what is in between is neither in it nor here."""
    hub = hub_of(ring_count=2)
    talker = Talker(hub)
    talker.publish(ANN, times=5)
    for shown in ({ANN.run_id: 2}, {}):
        with pytest.raises(Overtaken):
            hub.follow(Listener(hub).client, shown)
    hub.follow(Listener(hub).client, {ANN.run_id: 3})


def test_a_partial_snapshot_leaves_runs_out_that_go_on() -> None:
    """There are more than it shows; their next events follow all the same."""
    hub = hub_of(ring_count=2)
    talker, listener = Talker(hub), Listener(hub)
    talker.publish(ANN, times=2)
    listener = Listener(hub)
    talker.publish(ANN, times=2)
    hub.follow(listener.client, {}, partial=True)
    assert listener.listen() == [(ANN.run_id, 3), (ANN.run_id, 4)]


def test_a_long_backlog_does_not_make_a_client_a_slow_one() -> None:
    """What it missed may be longer than its queue; what comes then may not."""
    hub = hub_of(queue_count=2)
    talker = Talker(hub)
    talker.publish(ANN, times=10)
    listener = Listener(hub)
    hub.follow(listener.client, {})
    talker.publish(ANN, times=2)
    assert listener.client.dropped is None
    assert [version for _, version in listener.listen()] == list(range(1, 13))
