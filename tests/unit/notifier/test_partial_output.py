"""Partial output reaches connected clients, has no place in the log, and makes no client a slow one."""

from __future__ import annotations

import json
from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from contracts.topics import PARTIALS
from notifier.feed.partial_output import PartialOutputFeed
from notifier.hub.event_buffer import Transient
from notifier.hub.run_states import RunStates
from testkit.kafka.records import Record
from testkit.runs.pushed_events import HubPublisher, Listener, WatchedRun, hub_of

ANN = WatchedRun(user_id="ann", session_id="s1")
BOB = WatchedRun(user_id="bob", session_id="s1")


def piece(run: WatchedRun, text: str, offset: int = 0) -> Record:
    """Return a piece of a running call's text, as it comes from Kafka."""
    partial = PartialOutput(
        run_id=UUID(run.run_id),
        tenant=run.tenant,
        work_id="w",
        attempt=1,
        user_id=run.user_id,
        session_id=run.session_id,
        offset=offset,
        text=text,
    )
    return Record(partial.model_dump_json().encode(), topic=PARTIALS.name)


def texts(listener: Listener) -> list[str]:
    """Take from the queue and return the pieces of text."""
    taken = [one for one in listener.client.take() if isinstance(one, Transient)]
    return [json.loads(frame.body)["text"] for one in taken for frame in one.frames]


async def test_it_reaches_the_clients_that_watch_its_run() -> None:
    """By run, session, user or everything, as with events; other tenants never."""
    hub = hub_of()
    filters: list[dict[str, str]] = [{"run_id": ANN.run_id}, {"session_id": "s1"}, {"user_id": "ann"}, {}]
    watching = [Listener(hub, **query).live() for query in filters]
    others = [Listener(hub, user_id="bob").live(), Listener(hub, tenant="other").live()]
    await PartialOutputFeed(hub, RunStates()).on_records([piece(ANN, "It is "), piece(ANN, "red.", 6)])
    assert [texts(listener) for listener in watching] == [["It is ", "red."]] * 4
    assert [texts(listener) for listener in others] == [[], []]
    assert {listener.woken for listener in watching} == {watching[0].woken}


async def test_a_piece_names_its_run_its_work_and_its_place() -> None:
    """The user and the tenant stay inside."""
    hub = hub_of()
    listener = Listener(hub).live()
    await PartialOutputFeed(hub, RunStates()).on_records([piece(ANN, "red.", 6)])
    (transient,) = listener.client.take()
    assert json.loads(transient.frames[0].body) == {
        "type": "HITL_PARTIAL_OUTPUT",
        "run_id": ANN.run_id,
        "work_id": "w",
        "attempt": 1,
        "offset": 6,
        "text": "red.",
    }


async def test_it_is_not_repeated() -> None:
    """A client that returns with a cursor gets the events; the answer is one of them."""
    hub = hub_of()
    publisher = HubPublisher(hub)
    cursor = hub.cursor_at(0, 0)
    publisher.publish(ANN)
    await PartialOutputFeed(hub, RunStates()).on_records([piece(ANN, "It is ")])
    returned = Listener(hub)
    assert hub.resume(returned.client, cursor)
    assert returned.listen() == [(ANN.run_id, 1)]


async def test_it_keeps_its_place_among_the_events() -> None:
    """A piece that was published before the answer arrives before it."""
    hub = hub_of()
    listener, publisher = Listener(hub).live(), HubPublisher(hub)
    publisher.publish(ANN)
    await PartialOutputFeed(hub, RunStates()).on_records([piece(ANN, "It is ")])
    publisher.publish(ANN)
    assert [type(one).__name__ for one in listener.client.take()] == ["Notification", "Transient", "Notification"]


async def test_a_slow_client_misses_pieces_and_no_event() -> None:
    """Partial output disconnects no client."""
    hub = hub_of()
    listener, publisher = Listener(hub).live(), HubPublisher(hub)
    most = hub.bounds.transient_count
    await PartialOutputFeed(hub, RunStates()).on_records([piece(ANN, str(n), n) for n in range(most + 50)])
    publisher.publish(ANN)
    taken = listener.client.take()
    assert listener.client.disconnected is None
    assert len(taken) == most + 1
    assert (taken[-1].run_id, getattr(taken[-1], "version", None)) == (ANN.run_id, 1)


async def test_malformed_pieces_are_skipped() -> None:
    """The next one arrives."""
    hub = hub_of()
    listener = Listener(hub).live()
    await PartialOutputFeed(hub, RunStates()).on_records([Record(b"{not json"), Record(None), piece(BOB, "fine")])
    assert texts(listener) == ["fine"]
