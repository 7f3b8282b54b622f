"""The JSON that is pushed: equal to its models, with an event's data as the bytes that came in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from contracts.runs.event_header import EventHeader
from contracts.runs.views import RunView, State, project
from notifier.hub.frames import MESSAGE_BYTES, frames_of, frames_with_request
from notifier.hub.run_states import read_checkpoint
from notifier.protocol.messages import ApprovalRequest, StatusUpdate
from testkit.messages.strategies import json_objects
from testkit.runs.commands import approve, at_error_review, at_payload_review, calling, completed, executed, time_is_up
from testkit.runs.pushed_events import headers_in, moved
from testkit.runs.specification import Story

STORIES = [
    at_payload_review().given(approve(), executed(), approve()),
    at_error_review(),
    at_payload_review(on_timeout="escalate").given(time_is_up()),
    completed(),
]

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10) | st.sampled_from(['{"', '[,"data":', "\\", '"'])


def message_of(value: bytes, state: State | None = State.API_CALL) -> dict[str, Any]:
    """Return the one message about a record."""
    (frame,) = frames_of(EventHeader.parse(value), value, state, "here")
    return dict(from_json(frame.body))


@pytest.mark.parametrize("story", STORIES)
def test_a_status_update_equals_its_model(story: Story) -> None:
    """The text is written by hand; it equals the model's on every event of real runs."""
    for event, value in headers_in(moved(story)):
        (frame,) = frames_of(event, value, State.PAYLOAD_REVIEW, "here")
        shown = {"kind": event.kind, "at": event.at, "actor": event.actor, "data": from_json(value)["data"]}
        model = StatusUpdate.model_validate(
            {
                "cursor": "here",
                "run_id": event.run_id,
                "version": event.version,
                "state": "payload_review",
                "event": shown,
            }
        )
        assert frame.body == model.model_dump_json().encode()
        assert frame.type == model.type


@given(json_objects, texts, texts, texts)
def test_any_data_and_any_names_arrive_unchanged(facts: Any, user: str, session: str, kind: str) -> None:
    """No name can break out of its place."""
    value = _record(kind=kind, user_id=user, session_id=session, data=facts)
    message = message_of(value)
    assert message["event"]["data"] == from_json(value)["data"]
    assert message["event"]["kind"] == kind
    assert list(message) == ["type", "cursor", "run_id", "version", "state", "event"]


def test_data_keeps_its_bytes() -> None:
    """Numbers, escapes and spaces are forwarded as they came."""
    facts = '{"a": 1.50, "b":\t1E+3,  "c":"\\u00e9\\/"}'
    value = _record(data={}).replace(b'"data":{}', f'"data":{facts}'.encode())
    (frame,) = frames_of(EventHeader.parse(value), value, None, "here")
    assert facts.encode() in frame.body


def test_members_in_another_order_arrive_too() -> None:
    """Another writer may put the data first; then it is serialised again."""
    facts = {"a": [1, {"b": 1, "data": 2}], "c": 3}
    value = to_json(dict(reversed(from_json(_record(data=facts)).items())))
    assert message_of(value)["event"]["data"] == facts


def test_a_record_with_spaces_arrives_too() -> None:
    """Any JSON will do."""
    value = json.dumps(json.loads(_record(data={"a": 1})), indent=2).encode()
    assert message_of(value)["event"]["data"] == {"a": 1}


def test_members_that_a_later_writer_adds_do_no_harm() -> None:
    """They may stand behind the data; the message stays valid."""
    value = _record(data={"a": 1})[:-1] + b',"later":{"x":[1]}}'
    message = message_of(value)
    assert message["event"]["data"] == {"a": 1}
    assert message["version"] == 3


def test_an_unknown_state_is_null() -> None:
    """It is not guessed."""
    assert message_of(_record(data={}), None)["state"] is None


@pytest.mark.parametrize("story", [at_payload_review(), calling().given(executed()), at_error_review()])
def test_a_request_to_decide_shows_the_checkpoint_as_the_runs_view_does(story: Story) -> None:
    """To the name of the member."""
    header, value, view = _last(story)
    assert view.checkpoint is not None
    update, request = frames_with_request(header, value, view.state, read_checkpoint(value), "before", "after")
    assert from_json(update.body)["cursor"] == "before"
    message = from_json(request.body)
    assert message == {
        "type": "HITL_APPROVAL_REQUEST",
        "cursor": "after",
        "run_id": str(view.run_id),
        "version": view.version,
        "session_id": view.session_id,
        "user_id": view.user_id,
        "checkpoint": from_json(view.model_dump_json())["checkpoint"],
    }
    assert ApprovalRequest.model_validate(message).checkpoint == view.checkpoint


def _last(story: Story) -> tuple[EventHeader, bytes, RunView]:
    view: RunView | None = None
    for event in story.history:
        view = project(view, event)
    assert view is not None
    return (*headers_in(story.history)[-1], view)


def _record(**members: Any) -> bytes:
    return to_json(
        {
            "kind": "thing-happened.v1",
            "run_id": "8b8a8c2e-3a0c-4a57-9a5e-0a3d6f6f0f2a",
            "version": 3,
            "at": "2026-03-02T09:00:00.000001Z",
            "tenant": "default",
            "user_id": "u",
            "session_id": None,
            "actor": "ann",
            "cause": "8b8a8c2e-3a0c-4a57-9a5e-0a3d6f6f0f2a",
            "data": {},
            **members,
        }
    )


def test_an_event_that_is_larger_than_a_message_is_there_by_reference() -> None:
    """Its data stand in the history, at the address that is given; clients would close on a larger message."""
    message = message_of(_record(data={"text": "x" * MESSAGE_BYTES}))
    event = message["event"]
    assert (event["data"], event["truncated"]) == ({}, True)
    assert event["url"] == f"/hitl/runs/{message['run_id']}/history?after=2&limit=1"
    assert message_of(_record(data={"text": "x"}))["event"].keys() == {"kind", "at", "actor", "data"}


def test_a_checkpoint_that_is_larger_than_a_message_is_there_by_reference() -> None:
    """What a person decides on is left out, not emptied; its digest is that of the whole."""
    header, value, view = _last(at_payload_review())
    assert view.checkpoint is not None
    large = view.checkpoint.changed({"subject": {"prompt": "x" * MESSAGE_BYTES}})
    _, request = frames_with_request(header, value, view.state, large, "before", "after")
    shown = from_json(request.body)["checkpoint"]
    assert len(request.body) < MESSAGE_BYTES
    assert (shown["truncated"], shown["url"]) == (True, f"/hitl/runs/{view.run_id}")
    assert shown["subject_sha256"] == view.checkpoint.subject_sha256
    assert "subject" not in shown
