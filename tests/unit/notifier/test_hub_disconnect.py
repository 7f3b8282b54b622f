"""The hub disconnects clients: a slow one, all of them behind a gap, and all of them at a stop."""

from __future__ import annotations

import pytest

from notifier.errors import SnapshotTooOld
from notifier.hub.client import DisconnectReason
from testkit.runs.pushed_events import ANN, HubPublisher, Listener, hub_of


def test_a_slow_client_is_disconnected_and_the_others_get_everything() -> None:
    """Its queue is bounded in number."""
    hub = hub_of(queue_count=3)
    publisher, slow, quick = HubPublisher(hub), Listener(hub).live(), Listener(hub).live()
    for _ in range(4):
        publisher.publish(ANN)
        quick.listen()
    assert slow.client.disconnected is DisconnectReason.TOO_SLOW
    assert slow.listen() == []
    assert [one.version for one in quick.heard] == [1, 2, 3, 4]
    assert quick.client.disconnected is None


def test_a_queue_is_bounded_in_size_too() -> None:
    """A few large events are as much as many small ones."""
    hub = hub_of(queue_size=3_000)
    publisher, slow = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN, size=1_000, times=2)
    assert slow.client.disconnected is None
    publisher.publish(ANN, size=1_000)
    assert slow.client.disconnected is DisconnectReason.TOO_SLOW


def test_taking_makes_room() -> None:
    """A client that keeps reading gets any amount."""
    hub = hub_of(queue_count=3, queue_size=10_000)
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    for _ in range(50):
        publisher.publish(ANN, times=3, size=1_000)
        listener.listen()
    assert len(listener.heard) == 150
    assert listener.client.disconnected is None


def test_a_disconnected_client_is_woken_once_more_and_gets_nothing() -> None:
    """Its edge closes the connection."""
    hub = hub_of(queue_count=1)
    publisher, slow = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN)
    woken = slow.woken
    publisher.publish(ANN)
    assert slow.woken == woken + 1
    publisher.publish(ANN)
    assert slow.woken == woken + 1


def test_a_disconnected_client_that_returns_misses_nothing() -> None:
    """Its cursor is the one of the last message that it took."""
    hub = hub_of(queue_count=2)
    publisher, slow = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN)
    slow.listen()
    publisher.publish(ANN, times=3)
    assert slow.client.disconnected is DisconnectReason.TOO_SLOW
    returned = Listener(hub)
    assert hub.resume(returned.client, slow.cursor)
    assert [version for _, version in returned.listen()] == [2, 3, 4]


def test_lost_records_disconnect_every_client() -> None:
    """Their events are unknown: each client returns, and its cursor needs a snapshot."""
    hub = hub_of()
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN)
    listener.listen()
    joining = Listener(hub)
    hub.skip_to(0, 9)
    assert listener.client.disconnected is DisconnectReason.GAP
    assert not hub.resume(Listener(hub).client, listener.cursor)
    with pytest.raises(SnapshotTooOld):
        hub.follow(joining.client, {})


def test_a_stop_disconnects_every_client() -> None:
    """Open connections end before the process does."""
    hub = hub_of()
    listener = Listener(hub).live()
    hub.stop()
    assert listener.client.disconnected is DisconnectReason.STOPPING
