"""The hub lets go of clients: of who is too slow, of all behind a gap, and of all at a stop."""

from __future__ import annotations

import pytest

from notifier.hub.client import Dropped
from notifier.hub.hub import Overtaken
from testkit.runs.pushed_events import ANN, Listener, Talker, hub_of


def test_a_slow_client_is_let_go_of_and_the_others_get_everything() -> None:
    """Its queue is bounded in number."""
    hub = hub_of(queue_count=3)
    talker, slow, quick = Talker(hub), Listener(hub).live(), Listener(hub).live()
    for _ in range(4):
        talker.publish(ANN)
        quick.listen()
    assert slow.client.dropped is Dropped.TOO_SLOW
    assert slow.listen() == []
    assert [one.version for one in quick.heard] == [1, 2, 3, 4]
    assert quick.client.dropped is None


def test_a_queue_is_bounded_in_size_too() -> None:
    """A few large events are as much as many small ones."""
    hub = hub_of(queue_size=3_000)
    talker, slow = Talker(hub), Listener(hub).live()
    talker.publish(ANN, size=1_000, times=2)
    assert slow.client.dropped is None
    talker.publish(ANN, size=1_000)
    assert slow.client.dropped is Dropped.TOO_SLOW


def test_what_was_taken_makes_room() -> None:
    """A client that keeps reading can be sent any amount."""
    hub = hub_of(queue_count=3, queue_size=10_000)
    talker, listener = Talker(hub), Listener(hub).live()
    for _ in range(50):
        talker.publish(ANN, times=3, size=1_000)
        listener.listen()
    assert len(listener.heard) == 150
    assert listener.client.dropped is None


def test_a_dropped_client_is_woken_to_learn_it_and_hears_no_more() -> None:
    """Its edge closes the connection."""
    hub = hub_of(queue_count=1)
    talker, slow = Talker(hub), Listener(hub).live()
    talker.publish(ANN)
    woken = slow.woken
    talker.publish(ANN)
    assert slow.woken == woken + 1
    talker.publish(ANN)
    assert slow.woken == woken + 1


def test_a_dropped_client_that_comes_back_misses_nothing() -> None:
    """Its cursor is worth what it was told."""
    hub = hub_of(queue_count=2)
    talker, slow = Talker(hub), Listener(hub).live()
    talker.publish(ANN)
    slow.listen()
    talker.publish(ANN, times=3)
    assert slow.client.dropped is Dropped.TOO_SLOW
    returned = Listener(hub)
    assert hub.resume(returned.client, slow.cursor)
    assert [version for _, version in returned.listen()] == [2, 3, 4]


def test_records_that_were_lost_before_they_were_read_let_go_of_everybody() -> None:
    """Nobody can be told what they were: all come back, and their cursors need a snapshot."""
    hub = hub_of()
    talker, listener = Talker(hub), Listener(hub).live()
    talker.publish(ANN)
    listener.listen()
    joining = Listener(hub)
    hub.skip_to(0, 9)
    assert listener.client.dropped is Dropped.GAP
    assert not hub.resume(Listener(hub).client, listener.cursor)
    with pytest.raises(Overtaken):
        hub.follow(joining.client, {})


def test_a_stop_lets_go_of_everybody() -> None:
    """So that endless answers end."""
    hub = hub_of()
    listener = Listener(hub).live()
    hub.stop()
    assert listener.client.dropped is Dropped.STOPPING
