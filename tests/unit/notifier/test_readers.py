"""Clients that see some runs alone, and runs that this notifier does not remember: nothing that they may see is lost, nothing else is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.identity import Principal
from contracts.runs.tasks.readers import reader_of
from notifier.errors import SnapshotTooOld
from notifier.feed.events import PAUSE, EventFeed
from notifier.hub.client import Client, DisconnectReason, Filters
from notifier.hub.hub import Hub
from notifier.hub.run_states import RunStates
from notifier.testing.gateway import MemoryGateway
from testkit.kafka.records import Record
from testkit.runs.commands import approve, cancel, executed, pause, resume
from testkit.runs.people import ADAM, ANN, BO, CY, RITA
from testkit.runs.specification import Story
from testkit.runs.tasks import by, under

WAITS = under({"candidates": {"users": ["ann"]}})
CANCELLED = WAITS.given(by(RITA, cancel()))
BEGUN = len(WAITS.history)
RUN_ID = str(WAITS.now.run_id)


class Fed:
    """A feed that begins with what is there, and the gateway, which knows the whole story."""

    def __init__(self, story: Story, **bounds: int) -> None:
        self.values = [event.to_bytes() for event in story.history]
        self.hub, self.gateway, self.now = Hub(1), MemoryGateway(), datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.gateway.learn(*self.values)
        self.feed = EventFeed(self.hub, RunStates(**bounds), self.gateway, lambda: self.now)
        self.feed.start({0: range(0)})

    def client(self, who: Principal, **filters: Any) -> Client:
        """Let a person follow from now on."""
        client = self.hub.join(Filters(reader=reader_of(who), **filters), lambda: None)
        self.hub.follow(client, {}, partial=True)
        return client

    def joined(self, who: Principal, **filters: Any) -> Client:
        """Let a person join, before its snapshot."""
        return self.hub.join(Filters(reader=reader_of(who), **filters), lambda: None)

    async def give(self, *values: bytes) -> None:
        """Hand the feed one batch."""
        first = self.hub.position(0)
        await self.feed.on_records([Record(value, first + number) for number, value in enumerate(values)])


def kinds(client: Client) -> list[str]:
    """Return the kinds of the events that a client is given."""
    frames = [json.loads(frame.body) for one in client.take(2**30) for frame in one.frames]
    return [frame["event"]["kind"] for frame in frames if frame["type"] == "HITL_STATUS_UPDATE"]


def values_of(events: Sequence[Any]) -> list[bytes]:
    """Return records."""
    return [event.to_bytes() for event in events]


async def test_a_new_instance_tells_those_who_may_see_it_that_a_waiting_run_has_ended() -> None:
    """The event says its state itself, and not who may see it."""
    fed = Fed(CANCELLED)
    ann, rita, adam, bo = (fed.client(who) for who in (ANN, RITA, ADAM, BO))
    await fed.give(*fed.values[BEGUN:])
    assert [kinds(one) for one in (ann, rita, adam, bo)] == [["run-cancelled.v1"]] * 3 + [[]]
    assert fed.gateway.requests == 1


async def test_a_requester_hears_of_the_next_checkpoint_of_a_run_that_is_not_remembered() -> None:
    """What opens for every reviewer names them, and not who started it."""
    story = under({}, allowed_steps=("payload_review", "response_review")).given(by(ANN, approve()), executed())
    opened = max(at for at, event in enumerate(story.history) if event.kind == "checkpoint-opened.v1")
    fed = Fed(story)
    rita, cy = fed.client(RITA), fed.client(CY)
    await fed.give(fed.values[opened])
    assert kinds(rita) == kinds(cy) == ["checkpoint-opened.v1"]


async def test_the_history_of_a_run_is_asked_for_once_and_again_when_it_was_evicted() -> None:
    """A run that is remembered costs no question."""
    story = WAITS.given(by(ADAM, pause()), by(ADAM, resume()), by(RITA, cancel()))
    fed = Fed(story)
    ann = fed.client(ANN)
    for value in fed.values[BEGUN:]:
        await fed.give(value)
    assert (len(kinds(ann)), fed.gateway.requests) == (3, 1)
    forgetful = Fed(story, count=0)
    ann = forgetful.client(ANN)
    for value in forgetful.values[BEGUN:]:
        await forgetful.give(value)
    assert (len(kinds(ann)), forgetful.gateway.requests) == (3, 3)


async def test_while_the_gateway_does_not_answer_those_who_see_some_runs_alone_are_disconnected() -> None:
    """They come back, and resume from no cursor before it; who sees all, or watches another run, stays. The gateway has its pause."""
    fed = Fed(WAITS.given(by(ADAM, pause()), by(ADAM, resume())))
    cursor = fed.hub.cursor_at(0, 0)
    bo, adam = fed.client(BO), fed.client(ADAM)
    other, elsewhere = fed.client(BO, run_id="another"), fed.client(BO, tenant="elsewhere")
    fed.gateway.unavailable = True
    for value in fed.values[BEGUN:]:
        await fed.give(value)
    assert bo.disconnected is DisconnectReason.READERS_UNKNOWN
    assert (adam.disconnected, other.disconnected, elsewhere.disconnected) == (None, None, None)
    assert len(kinds(adam)) == 2
    assert fed.gateway.requests == 1
    assert not fed.hub.resume(fed.joined(BO), cursor)
    assert fed.hub.resume(fed.joined(ADAM), cursor)
    assert fed.hub.resume(fed.joined(BO), fed.hub.cursor_at(0, 2))


async def test_a_run_whose_readers_were_unknown_is_known_when_the_gateway_answers_again() -> None:
    """At its next event, after the pause: it does not stick."""
    fed = Fed(WAITS.given(by(ADAM, pause()), by(ADAM, resume())))
    fed.gateway.unavailable = True
    paused, resumed = fed.values[BEGUN:]
    await fed.give(paused)
    fed.gateway.unavailable = False
    fed.now += PAUSE
    ann, cy = fed.client(ANN), fed.client(CY)
    await fed.give(resumed)
    assert (kinds(ann)[-1:], kinds(cy)) == (["run-resumed.v1"], [])
    assert (ann.disconnected, cy.disconnected) == (None, None)


async def test_what_a_snapshot_shows_may_be_seen_further() -> None:
    """An event that is newer than the snapshot follows it, though it is not known who may see it."""
    fed = Fed(WAITS.given(by(ADAM, pause())))
    fed.gateway.unavailable = True
    ann = fed.joined(ANN)
    await fed.give(*fed.values[BEGUN:])
    fed.hub.follow(ann, {RUN_ID: BEGUN})
    assert kinds(ann) == ["run-paused.v1"]


async def test_a_snapshot_that_does_not_show_a_run_is_taken_again_where_it_may_be_too_old_and_not_for_ever() -> None:
    """Until a client's last one: what it does not show then, is not waited for again. What is not shown is never pushed."""
    fed = Fed(WAITS.given(by(ADAM, pause())))
    fed.gateway.unavailable = True
    await fed.give(*fed.values[BEGUN:])
    for filters, shown in (({}, {}), ({"run_id": RUN_ID}, {RUN_ID: 0})):
        bo = fed.joined(BO, **filters)
        with pytest.raises(SnapshotTooOld):
            fed.hub.follow(bo, shown)
        fed.hub.follow(bo, shown, partial=True)
        assert kinds(bo) == []
    fed.hub.settle(bo)
    fed.hub.follow(fed.joined(BO), {})
    adam = fed.joined(ADAM)
    fed.hub.follow(adam, {RUN_ID: BEGUN})
    assert kinds(adam) == ["run-paused.v1"]


async def test_a_run_that_had_ended_before_the_snapshot_is_waited_for_by_no_one() -> None:
    """No snapshot shows what is over."""
    fed = Fed(CANCELLED)
    fed.gateway.unavailable = True
    before = fed.joined(BO)
    await fed.give(*fed.values[BEGUN:])
    with pytest.raises(SnapshotTooOld):
        fed.hub.follow(before, {})
    fed.hub.follow(fed.joined(BO), {})


async def test_a_feed_that_has_not_caught_up_asks_for_no_readers() -> None:
    """After a restart many runs are unknown, and no client is there. Who comes with a cursor gets a snapshot; a run is asked for later, once."""
    story = WAITS.given(by(ADAM, pause()), by(ADAM, resume()), by(RITA, cancel()))
    hub, gateway = Hub(1), MemoryGateway()
    values = values_of(story.history)
    gateway.learn(*values)
    feed = EventFeed(hub, RunStates(), gateway, lambda: datetime(2026, 3, 2, tzinfo=UTC))
    feed.start({0: range(1)})
    await feed.on_records([Record(values[BEGUN - 1], 0)])
    assert feed.caught_up.is_set()
    assert gateway.requests == 0
    assert not hub.resume(hub.join(Filters(reader=reader_of(ANN)), lambda: None), hub.cursor_at(0, 0))
    ann = hub.join(Filters(reader=reader_of(ANN)), lambda: None)
    hub.follow(ann, {}, partial=True)
    await feed.on_records([Record(value, 1 + at) for at, value in enumerate(values[BEGUN:])])
    assert (len(kinds(ann)), gateway.requests) == (3, 1)
