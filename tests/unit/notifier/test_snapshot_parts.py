"""A snapshot as messages: every run once, in order, and no message larger than clients take."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from notifier.hub.cursor import decode
from notifier.hub.frames import MESSAGE_BYTES
from notifier.ports import Snapshot
from notifier.protocol.messages import SnapshotMessage
from notifier.protocol.snapshot_parts import UNFINISHED, SnapshotParts
from testkit.runs.commands import approve, at_payload_review
from testkit.runs.histories import history_of, view_of

WAITING = at_payload_review()
CALLING = WAITING.given(approve())


def view(story: Any = WAITING, size: int = 0) -> dict[str, Any]:
    """Return a view as the gateway shows it; `size` bytes of it are the prompt that is reviewed."""
    shown = view_of(history_of(story, uuid4())).model_dump(mode="json")
    if size and shown["checkpoint"]:
        shown["checkpoint"]["subject"]["prompt"] = "x" * size
    elif size:
        shown["result"] = {"text": "x" * size}
    return shown


def parts(*views: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a snapshot, each of which must be one that clients take."""
    messages = list(SnapshotParts(Snapshot.of(views)).messages("here"))
    assert all(len(message) <= MESSAGE_BYTES for message in messages)
    return [json.loads(message) for message in messages]


def test_a_small_snapshot_is_one_message_and_equals_its_model() -> None:
    """What waits stands in `approvals`, all else in `runs`."""
    waiting, calling = view(), view(CALLING)
    (message,) = parts(waiting, calling)
    assert (message["approvals"], message["runs"], message["cursor"]) == ([waiting], [calling], "here")
    assert message == SnapshotMessage.model_validate(message).model_dump(mode="json")
    assert parts() == [{**message, "approvals": [], "runs": []}]


def test_two_hundred_waiting_runs_come_in_several_messages() -> None:
    """Each once; only the last message carries a cursor that a client can go on from."""
    views = [view(size=3000) for _ in range(200)]
    messages = parts(*views)
    assert len(messages) > 1
    shown = [each["run_id"] for message in messages for each in (*message["approvals"], *message["runs"])]
    assert sorted(shown) == sorted(each["run_id"] for each in views)
    assert [message["more"] for message in messages] == [True] * (len(messages) - 1) + [False]
    assert [message["cursor"] for message in messages] == [UNFINISHED] * (len(messages) - 1) + ["here"]
    assert decode(UNFINISHED) is not None


@pytest.mark.parametrize("story", [WAITING, CALLING])
def test_a_run_that_is_larger_than_a_message_is_there_by_reference(story: Any) -> None:
    """Who reads it finds the rest at the gateway; what a person decides on is left out, not emptied."""
    large = view(story, MESSAGE_BYTES)
    shown = [each for message in parts(large, view()) for each in (*message["approvals"], *message["runs"])]
    (reference,) = [each for each in shown if each["run_id"] == large["run_id"]]
    assert (reference["truncated"], reference["url"]) == (True, f"/hitl/runs/{large['run_id']}")
    assert (reference["state"], reference["version"]) == (large["state"], large["version"])
    if large["checkpoint"]:
        checkpoint = reference["checkpoint"]
        assert checkpoint["checkpoint_id"] == large["checkpoint"]["checkpoint_id"]
        assert "subject" not in checkpoint
    assert len(shown) == 2
