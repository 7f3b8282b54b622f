"""The feed: each event once, its state as it was then, and no record that stops it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from messaging.consumer import Stretch
from notifier.adapters.gateway import GatewayAway
from notifier.feed.events import Feed, LogBeganAnew
from notifier.hub.client import Dropped
from notifier.hub.hub import Hub
from notifier.hub.run_states import Memory
from testkit.runs.commands import approve, at_error_review, at_payload_review, executed, pause, resume, time_is_up
from testkit.runs.pushed_events import Listener, Record, hub_of, values_of

FINISHED = at_payload_review().given(approve(), executed(), approve())


class Histories:
    """The past of runs, as far as somebody knows it."""

    def __init__(self) -> None:
        self.known: dict[str, list[bytes]] = {}
        self.away = False
        self.asked: list[str] = []

    async def __call__(self, run_id: str) -> list[bytes] | None:
        """Tell what is known."""
        self.asked.append(run_id)
        if self.away:
            raise GatewayAway("it is away")
        return self.known.get(run_id)


class Fed:
    """A feed with a client that listens to everything; records are numbered as they are given."""

    def __init__(self) -> None:
        self.hub: Hub = hub_of()
        self.histories = Histories()
        self.feed = Feed(self.hub, Memory(), self.histories)
        self.feed.begin({0: Stretch(0, 0)})
        self.listener = Listener(self.hub).live()

    async def give(self, *values: bytes | None, at: int | None = None) -> list[dict[str, Any]]:
        """Let the feed read one batch; return the messages that go out."""
        first = self.hub.position(0) if at is None else at
        await self.feed.on_records([Record(value, first + number) for number, value in enumerate(values)])
        taken = self.listener.client.take(2**30)
        return [json.loads(frame.body) for one in taken for frame in one.frames]


def versions(messages: Sequence[dict[str, Any]]) -> list[int]:
    """Return the versions of status updates."""
    return [message["version"] for message in messages if message["type"] == "HITL_STATUS_UPDATE"]


async def test_each_event_is_told_with_the_state_after_it() -> None:
    """A whole run, from its beginning to its result."""
    messages = await Fed().give(*values_of(FINISHED))
    states = [message["state"] for message in messages if message["type"] == "HITL_STATUS_UPDATE"]
    assert versions(messages) == list(range(1, len(FINISHED.history) + 1))
    assert (states[0], states[-1]) == ("created", "completed")
    assert {"payload_review", "api_call", "response_review"} <= set(states)


async def test_a_request_to_decide_follows_its_status_update() -> None:
    """And comes again to whoever got no further than the update."""
    fed = Fed()
    messages = await fed.give(*values_of(at_payload_review()))
    update, request = messages[-2:]
    assert (update["type"], request["type"]) == ("HITL_STATUS_UPDATE", "HITL_APPROVAL_REQUEST")
    for cursor, due in ((update["cursor"], 1), (request["cursor"], 0)):
        returned = Listener(fed.hub)
        assert fed.hub.resume(returned.client, cursor)
        assert len(returned.listen()) == due


async def test_events_that_are_published_again_are_told_once() -> None:
    """After a crash the orchestrator publishes what may not have arrived."""
    fed, values = Fed(), values_of(FINISHED)
    await fed.give(*values[:4])
    assert versions(await fed.give(*values[2:6])) == [5, 6]
    assert fed.hub.position(0) == 8


@pytest.mark.parametrize("bad", [None, b"", b"\xff", b"[]", b'{"kind":"run-paused.v1"}', b'{"a":'])
async def test_a_malformed_record_is_passed_over(bad: bytes | None) -> None:
    """The records around it are told, and it is not asked for again."""
    fed, values = Fed(), values_of(FINISHED)
    assert versions(await fed.give(values[0], bad, values[1])) == [1, 2]
    assert fed.hub.position(0) == 3


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(b'"subject_sha256"', b'"subject"'), (b'"step":"payload_review"', b'"step":"tea"'), (b'"data":{', b'"data":[{')],
)
async def test_a_request_to_decide_that_cannot_be_made_is_malformed(right: bytes, wrong: bytes) -> None:
    """A checkpoint that nobody could decide on is not pushed."""
    value = values_of(at_payload_review())[-1]
    assert right in value
    assert await Fed().give(value.replace(right, wrong)) == []


async def test_kinds_that_are_not_known_yet_are_told() -> None:
    """New kinds may come; the state stays what it was."""
    fed, values = Fed(), values_of(at_payload_review())
    await fed.give(*values)
    later = json.loads(values[-1]) | {"kind": "thing-happened.v1", "version": len(values) + 1, "data": {"x": 1}}
    (message,) = await fed.give(json.dumps(later).encode())
    assert (message["state"], message["event"]["data"]) == ("payload_review", {"x": 1})


async def test_a_run_that_began_earlier_is_looked_up() -> None:
    """A fresh instance hears a pause and must say in which state."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review().given(pause()), run_id)
    fed.histories.known[str(run_id)] = values
    (message,) = await fed.give(values[-1])
    assert message["state"] == "payload_review"
    assert fed.histories.asked == [str(run_id)]


async def test_a_run_is_looked_up_once() -> None:
    """From then on it is known."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review(on_timeout="escalate").given(time_is_up(), pause()), run_id)
    fed.histories.known[str(run_id)] = values[:-2]
    escalated, asked_again, paused = await fed.give(*values[-2:])
    assert fed.histories.asked == [str(run_id)]
    assert (escalated["state"], asked_again["checkpoint"]["escalations"]) == ("payload_review", 1)
    assert (paused["event"]["kind"], paused["state"]) == ("run-paused.v1", "payload_review")


async def test_a_run_of_which_nobody_could_tell_is_looked_up_again() -> None:
    """From its second event on; the read model may know it by then."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review().given(pause(), resume()), run_id)
    told = [*(await fed.give(values[1])), *(await fed.give(values[3]))]
    fed.histories.known[str(run_id)] = values
    told += await fed.give(values[4])
    assert [message["state"] for message in told] == [None, None, "payload_review"]
    assert fed.histories.asked == [str(run_id)] * 3


async def test_an_event_that_decides_the_state_needs_no_looking_up() -> None:
    """Most do; the gateway is not asked for them."""
    fed, values = Fed(), values_of(at_payload_review())
    messages = await fed.give(values[-1])
    assert [message["type"] for message in messages] == ["HITL_STATUS_UPDATE", "HITL_APPROVAL_REQUEST"]
    assert messages[0]["state"] == "payload_review"
    assert fed.histories.asked == []


async def test_nothing_waits_for_a_gateway_that_is_away() -> None:
    """The event is told without its state, its request to decide in full; the gateway is not asked again at once."""
    fed = Fed()
    fed.histories.away = True
    error_review, other = values_of(at_error_review()), values_of(at_payload_review().given(pause()))
    messages = await fed.give(error_review[-1], other[-1])
    assert [(message["type"], message.get("state")) for message in messages] == [
        ("HITL_STATUS_UPDATE", None),
        ("HITL_APPROVAL_REQUEST", None),
        ("HITL_STATUS_UPDATE", None),
    ]
    assert messages[1]["checkpoint"]["step"] == "error_review"
    assert len(fed.histories.asked) == 1


async def test_a_history_that_does_not_reach_far_enough_is_not_believed() -> None:
    """The read model lags: what is missing may have changed the state."""
    fed, run_id = Fed(), uuid4()
    values = values_of(at_payload_review().given(pause()), run_id)
    fed.histories.known[str(run_id)] = values[:-2]
    (message,) = await fed.give(values[-1])
    assert message["state"] is None


async def test_records_that_are_gone_before_they_are_read_let_go_of_all_clients() -> None:
    """They come back and are shown a snapshot."""
    fed, values = Fed(), values_of(FINISHED)
    await fed.give(values[0])
    await fed.give(values[1], at=7)
    assert fed.listener.client.dropped is Dropped.GAP
    assert fed.hub.position(0) == 8


async def test_a_log_that_begins_anew_ends_the_feed() -> None:
    """Cursors and positions of the old log mean nothing in the new one."""
    fed, values = Fed(), values_of(FINISHED)
    await fed.give(*values)
    with pytest.raises(LogBeganAnew):
        await fed.give(values[0], at=0)


async def test_a_fresh_feed_has_caught_up_when_it_has_read_what_was_there() -> None:
    """It begins some way back, and passes over what its reader had in hand before."""
    hub = hub_of(2)
    feed = Feed(hub, Memory(), Histories())
    values = values_of(FINISHED)
    await feed.on_records([Record(values[0], 0)])
    feed.begin({0: Stretch(2, 4), 1: Stretch(7, 7)})
    await feed.on_records([Record(values[1], 1), Record(values[2], 2)])
    assert not feed.caught_up.is_set()
    await feed.on_records([Record(values[3], 3)])
    assert feed.caught_up.is_set()
    assert hub.positions == (4, 7)


async def test_an_empty_log_is_caught_up_with_at_once() -> None:
    """There is nothing to wait for."""
    feed = Feed(hub_of(), Memory(), Histories())
    feed.begin({0: Stretch(0, 0)})
    assert feed.caught_up.is_set()
