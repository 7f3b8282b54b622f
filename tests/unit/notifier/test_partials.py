"""Partial output reaches who listens now, takes no place in the log, and makes nobody a slow client."""

from __future__ import annotations

import json
from uuid import UUID

from contracts.providers.call_stream import PartialOutput
from contracts.topics import PARTIALS
from notifier.feed.partial_output import Partials
from notifier.hub.event_buffer import Passing
from testkit.runs.pushed_events import Listener, Record, Talker, Watched, hub_of

ANN = Watched(user_id="ann", session_id="s1")
BOB = Watched(user_id="bob", session_id="s1")


def piece(run: Watched, text: str, offset: int = 0) -> Record:
    """Return a piece of what a run's call says, as it comes from Kafka."""
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
    """Take what is due and return what calls have said."""
    taken = [one for one in listener.client.take() if isinstance(one, Passing)]
    return [json.loads(frame.body)["text"] for one in taken for frame in one.frames]


async def test_those_concerned_hear_it() -> None:
    """By run, session, user or everything, as with events; other tenants never."""
    hub = hub_of()
    filters: list[dict[str, str]] = [{"run_id": ANN.run_id}, {"session_id": "s1"}, {"user_id": "ann"}, {}]
    concerned = [Listener(hub, **said).live() for said in filters]
    others = [Listener(hub, user_id="bob").live(), Listener(hub, tenant="other").live()]
    await Partials(hub).on_records([piece(ANN, "It is "), piece(ANN, "red.", 6)])
    assert [texts(listener) for listener in concerned] == [["It is ", "red."]] * 4
    assert [texts(listener) for listener in others] == [[], []]
    assert {listener.woken for listener in concerned} == {concerned[0].woken}


async def test_a_piece_says_what_it_is_a_piece_of() -> None:
    """By run, work and attempt, and where in the text it stands. Whose run it is stays inside."""
    hub = hub_of()
    listener = Listener(hub).live()
    await Partials(hub).on_records([piece(ANN, "red.", 6)])
    (passing,) = listener.client.take()
    assert json.loads(passing.frames[0].body) == {
        "type": "HITL_PARTIAL_OUTPUT",
        "run_id": ANN.run_id,
        "work_id": "w",
        "attempt": 1,
        "offset": 6,
        "text": "red.",
    }


async def test_it_is_not_told_again() -> None:
    """Who returns with a cursor gets the events; the answer is one of them."""
    hub = hub_of()
    talker = Talker(hub)
    cursor = hub.cursor_at(0, 0)
    talker.publish(ANN)
    await Partials(hub).on_records([piece(ANN, "It is ")])
    returned = Listener(hub)
    assert hub.resume(returned.client, cursor)
    assert returned.listen() == [(ANN.run_id, 1)]


async def test_it_keeps_its_place_among_the_events() -> None:
    """What was said before the answer is heard before it."""
    hub = hub_of()
    listener, talker = Listener(hub).live(), Talker(hub)
    talker.publish(ANN)
    await Partials(hub).on_records([piece(ANN, "It is ")])
    talker.publish(ANN)
    assert [type(one).__name__ for one in listener.client.take()] == ["Notification", "Passing", "Notification"]


async def test_who_reads_slowly_misses_pieces_and_no_event() -> None:
    """Nobody is let go of for what may be missed."""
    hub = hub_of()
    listener, talker = Listener(hub).live(), Talker(hub)
    most = hub.limits.passing_count
    await Partials(hub).on_records([piece(ANN, str(n), n) for n in range(most + 50)])
    talker.publish(ANN)
    taken = listener.client.take()
    assert listener.client.dropped is None
    assert len(taken) == most + 1
    assert (taken[-1].run_id, getattr(taken[-1], "version", None)) == (ANN.run_id, 1)


async def test_malformed_pieces_are_passed_over() -> None:
    """The next one is heard."""
    hub = hub_of()
    listener = Listener(hub).live()
    await Partials(hub).on_records([Record(b"{not json"), Record(None), piece(BOB, "fine")])
    assert texts(listener) == ["fine"]
