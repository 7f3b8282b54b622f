"""The feed of events: each event once, with the state after it, and no record that stops the feed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from chassis.failpoints import utc_now
from notifier.errors import LogReset
from notifier.feed.events import PAUSE, EventFeed
from notifier.hub.client import DisconnectReason
from notifier.hub.hub import Hub
from notifier.hub.run_states import RunStates
from notifier.testing.gateway import MemoryGateway
from testkit.kafka.records import Record
from testkit.runs.commands import approve, at_error_review, at_payload_review, executed, pause, resume, time_is_up
from testkit.runs.pushed_events import Listener, hub_of, values_of

WAITING = at_payload_review()
FINISHED = WAITING.given(approve(), executed(), approve())


class Fed:
    """A feed, its gateway, and a client that gets every event; records are numbered as they are given."""

    def __init__(self, *, authentication: bool = True) -> None:
        self.hub: Hub = hub_of()
        self.gateway = MemoryGateway()
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.feed = EventFeed(self.hub, RunStates(), self.gateway, lambda: self.now, authentication=authentication)
        self.feed.start({0: range(0)})
        self.listener = Listener(self.hub).live()

    async def give(self, *values: bytes | None, at: int | None = None) -> list[dict[str, Any]]:
        """Hand the feed one batch; return the messages that go out."""
        first = self.hub.position(0) if at is None else at
        await self.feed.on_records([Record(value, first + number) for number, value in enumerate(values)])
        taken = self.listener.client.take(2**30)
        return [json.loads(frame.body) for one in taken for frame in one.frames]


def versions(messages: Sequence[dict[str, Any]]) -> list[int]:
    """Return the versions of status updates."""
    return [message["version"] for message in messages if message["type"] == "HITL_STATUS_UPDATE"]


async def test_each_event_is_published_with_the_state_after_it() -> None:
    """A whole run, from its beginning to its result."""
    messages = await Fed().give(*values_of(FINISHED))
    states = [message["state"] for message in messages if message["type"] == "HITL_STATUS_UPDATE"]
    assert versions(messages) == list(range(1, len(FINISHED.history) + 1))
    assert (states[0], states[-1]) == ("created", "completed")
    assert {"payload_review", "api_call", "response_review"} <= set(states)


async def test_a_request_to_decide_follows_its_status_update() -> None:
    """It comes again to a client that was cut off after the update."""
    fed = Fed()
    messages = await fed.give(*values_of(at_payload_review()))
    update, request = messages[-2:]
    assert (update["type"], request["type"]) == ("HITL_STATUS_UPDATE", "HITL_APPROVAL_REQUEST")
    for cursor, due in ((update["cursor"], 1), (request["cursor"], 0)):
        returned = Listener(fed.hub)
        assert fed.hub.resume(returned.client, cursor)
        assert len(returned.listen()) == due


async def test_repeated_events_are_published_once() -> None:
    """After a crash the orchestrator sends records that may not have arrived."""
    fed, values = Fed(), values_of(FINISHED)
    await fed.give(*values[:4])
    assert versions(await fed.give(*values[2:6])) == [5, 6]
    assert fed.hub.position(0) == 8


@pytest.mark.parametrize("bad", [None, b"", b"\xff", b"[]", b'{"kind":"run-paused.v1"}', b'{"a":'])
async def test_a_malformed_record_is_skipped(bad: bytes | None) -> None:
    """The records around it are published, and it is not read again."""
    fed, values = Fed(), values_of(FINISHED)
    assert versions(await fed.give(values[0], bad, values[1])) == [1, 2]
    assert fed.hub.position(0) == 3


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(b'"subject_sha256"', b'"subject"'), (b'"step":"payload_review"', b'"step":"tea"'), (b'"data":{', b'"data":[{')],
)
async def test_a_request_to_decide_that_cannot_be_made_is_malformed(right: bytes, wrong: bytes) -> None:
    """A checkpoint without its members cannot be decided."""
    value = values_of(at_payload_review())[-1]
    assert right in value
    assert await Fed().give(value.replace(right, wrong)) == []


async def test_unknown_kinds_are_published() -> None:
    """A later version may add kinds; the state stays the same."""
    fed, values = Fed(), values_of(at_payload_review())
    await fed.give(*values)
    later = json.loads(values[-1]) | {"kind": "thing-happened.v1", "version": len(values) + 1, "data": {"x": 1}}
    (message,) = await fed.give(json.dumps(later).encode())
    assert (message["state"], message["event"]["data"]) == ("payload_review", {"x": 1})


async def test_the_history_of_a_run_that_began_earlier_gives_its_state() -> None:
    """A new instance reads a pause, whose state earlier events decide."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review().given(pause()), run_id)
    fed.gateway.learn(*values)
    (message,) = await fed.give(values[-1])
    assert message["state"] == "payload_review"
    assert fed.gateway.requests == 1


async def test_the_history_of_a_run_is_read_once() -> None:
    """From then on its state is in the map."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review(on_timeout="escalate").given(time_is_up(), pause()), run_id)
    fed.gateway.learn(*values[:-2])
    escalated, asked_again, paused = await fed.give(*values[-2:])
    assert fed.gateway.requests == 1
    assert (escalated["state"], asked_again["checkpoint"]["escalations"]) == ("payload_review", 1)
    assert (paused["event"]["kind"], paused["state"]) == ("run-paused.v1", "payload_review")


async def test_a_history_that_was_not_there_is_read_again() -> None:
    """At the run's next event: the read model may have it by then."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review().given(pause(), resume()), run_id)
    messages = [*(await fed.give(values[1])), *(await fed.give(values[3]))]
    fed.gateway.learn(*values)
    messages += await fed.give(values[4])
    assert [message["state"] for message in messages] == [None, None, "payload_review"]
    assert fed.gateway.requests == 3


async def test_while_authentication_is_off_an_event_that_decides_the_state_needs_no_history() -> None:
    """Most events do; the gateway is not asked for them."""
    fed, values = Fed(authentication=False), values_of(at_payload_review())
    messages = await fed.give(values[-1])
    assert [message["type"] for message in messages] == ["HITL_STATUS_UPDATE", "HITL_APPROVAL_REQUEST"]
    assert messages[0]["state"] == "payload_review"
    assert fed.gateway.requests == 0


async def test_no_event_waits_for_a_gateway_that_is_unavailable() -> None:
    """Events are published without their state, requests to decide in full; the gateway is asked again after a pause."""
    fed = Fed()
    fed.gateway.unavailable = True
    error_review, other = values_of(at_error_review()), values_of(at_payload_review().given(pause()))
    messages = await fed.give(error_review[-1], other[-1])
    assert [(message["type"], message.get("state")) for message in messages] == [
        ("HITL_STATUS_UPDATE", None),
        ("HITL_APPROVAL_REQUEST", None),
        ("HITL_STATUS_UPDATE", None),
    ]
    assert messages[1]["checkpoint"]["step"] == "error_review"
    assert fed.gateway.requests == 1
    fed.now += PAUSE - timedelta(milliseconds=1)
    await fed.give(values_of(WAITING.given(pause()))[-1])
    assert fed.gateway.requests == 1
    fed.now += timedelta(milliseconds=1)
    await fed.give(values_of(WAITING.given(pause()))[-1])
    assert fed.gateway.requests == 2


async def test_a_history_that_does_not_reach_the_event_is_not_used() -> None:
    """The read model lags: the missing events may have changed the state."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review().given(pause()), run_id)
    fed.gateway.learn(*values[:-2])
    (message,) = await fed.give(values[-1])
    assert message["state"] is None


async def test_lost_records_disconnect_every_client() -> None:
    """They return and get a snapshot."""
    fed, values = Fed(), values_of(FINISHED)
    await fed.give(values[0])
    await fed.give(values[1], at=7)
    assert fed.listener.client.disconnected is DisconnectReason.GAP
    assert fed.hub.position(0) == 8


async def test_a_partition_that_was_added_is_published_from_its_beginning() -> None:
    """No client is disconnected by it, and the cursors of its messages serve."""
    fed = Fed()
    await fed.give(*values_of(WAITING))
    values = values_of(FINISHED)
    await fed.feed.on_records([Record(value, offset, partition=5) for offset, value in enumerate(values)])
    assert fed.listener.listen()[-1][1] == len(values)
    assert fed.hub.positions == (len(WAITING.history), 0, 0, 0, 0, len(values))
    assert fed.listener.client.disconnected is None
    assert fed.hub.resume(Listener(fed.hub).client, fed.listener.cursor)


async def test_a_log_that_was_emptied_ends_the_feed() -> None:
    """Its cursors and positions are void."""
    fed, values = Fed(), values_of(FINISHED)
    await fed.give(*values)
    with pytest.raises(LogReset):
        await fed.give(values[0], at=0)


async def test_a_new_feed_has_caught_up_when_it_has_read_the_earlier_records() -> None:
    """It starts some way back, and skips records that its reader had fetched before."""
    hub = hub_of(2)
    feed = EventFeed(hub, RunStates(), MemoryGateway(), utc_now)
    values = values_of(FINISHED)
    await feed.on_records([Record(values[0], 0)])
    feed.start({0: range(2, 4), 1: range(7, 7)})
    await feed.on_records([Record(values[1], 1), Record(values[2], 2)])
    assert not feed.caught_up.is_set()
    await feed.on_records([Record(values[3], 3)])
    assert feed.caught_up.is_set()
    assert hub.positions == (4, 7)


async def test_a_feed_of_an_empty_log_has_caught_up_at_once() -> None:
    """There is nothing to wait for."""
    feed = EventFeed(hub_of(), RunStates(), MemoryGateway(), utc_now)
    feed.start({0: range(0)})
    assert feed.caught_up.is_set()
