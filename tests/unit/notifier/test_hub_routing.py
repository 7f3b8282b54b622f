"""The hub, for connected clients: which client gets which event, which is woken, and in what pieces it takes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from testkit.runs.pushed_events import ANN, ANN_ELSEWHERE, BOB, HubPublisher, Listener, WatchedRun, hub_of


@pytest.mark.parametrize(
    ("filters", "heard"),
    [
        ({}, {ANN, ANN_ELSEWHERE, BOB}),
        ({"user_id": "ann"}, {ANN, ANN_ELSEWHERE}),
        ({"session_id": "s1"}, {ANN, BOB}),
        ({"run_id": BOB.run_id}, {BOB}),
        ({"user_id": "ann", "session_id": "s1"}, {ANN}),
        ({"user_id": "ann", "session_id": "s1", "run_id": ANN.run_id}, {ANN}),
        ({"user_id": "bob", "run_id": ANN.run_id}, set()),
        ({"user_id": "carl"}, set()),
    ],
)
def test_each_filter_that_is_given_must_match(filters: dict[str, object], heard: set[WatchedRun]) -> None:
    """By user, session, run, any of them together, or everything."""
    hub = hub_of()
    listener, publisher = Listener(hub, **filters).live(), HubPublisher(hub)
    for run in (ANN, ANN_ELSEWHERE, BOB):
        publisher.publish(run)
    assert {run_id for run_id, _ in listener.listen()} == {run.run_id for run in heard}


def test_events_of_other_tenants_do_not_arrive() -> None:
    """A client without filters gets every event of its tenant alone."""
    hub = hub_of()
    listener = Listener(hub).live()
    HubPublisher(hub).publish(WatchedRun(tenant="other"))
    assert listener.listen() == []


def test_runs_without_user_and_session_go_to_clients_without_filters() -> None:
    """A run needs no user and no session."""
    hub = hub_of()
    unfiltered, filtered = Listener(hub).live(), Listener(hub, user_id="ann").live()
    HubPublisher(hub).publish(WatchedRun(user_id=None, session_id=None))
    assert (len(unfiltered.listen()), filtered.listen()) == (1, [])


def test_a_client_is_woken_once_for_a_batch() -> None:
    """It writes all of it at once."""
    hub = hub_of()
    listener = Listener(hub).live()
    woken = listener.woken
    HubPublisher(hub).publish(ANN, times=5)
    assert listener.woken == woken + 1
    assert [version for _, version in listener.listen()] == [1, 2, 3, 4, 5]


def test_a_client_that_watches_another_run_is_not_woken() -> None:
    """An event costs nothing for other runs' clients."""
    hub = hub_of()
    listener = Listener(hub, run_id=str(uuid4())).live()
    woken = listener.woken
    HubPublisher(hub).publish(ANN)
    assert listener.woken == woken


def test_a_client_that_has_left_is_not_woken() -> None:
    """Leaving twice is no error."""
    hub = hub_of()
    listener = Listener(hub).live()
    hub.leave(listener.client)
    hub.leave(listener.client)
    woken = listener.woken
    HubPublisher(hub).publish(ANN)
    assert listener.woken == woken


def test_a_queue_is_taken_in_pieces() -> None:
    """An edge holds at most one piece at a time."""
    hub = hub_of()
    publisher, listener = HubPublisher(hub), Listener(hub).live()
    publisher.publish(ANN, times=3, size=1_000)
    assert [version for _, version in listener.listen(most=1_500)] == [1, 2]
    assert [version for _, version in listener.listen(most=1)] == [3]
    assert listener.listen() == []
