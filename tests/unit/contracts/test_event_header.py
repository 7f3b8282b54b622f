"""What is read of an event without its facts: as much as the views' fold makes of it, and nothing that it does not say."""

from __future__ import annotations

import json

import pytest

from contracts.runs.config import Step
from contracts.runs.event_header import CLOSING, OPENED, Heading
from contracts.runs.events import EVENT_KINDS
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, State, project
from testkit.runs.commands import at_payload_review
from testkit.runs.samples import samples

EVENTS = {kind: event for kind, event in samples().items() if isinstance(event, RunEvent)}


def waiting(state: State) -> RunView:
    """Return a run that waits at a checkpoint, in any state."""
    view: RunView | None = None
    for event in at_payload_review().history:
        view = project(view, event)
    assert view is not None
    return view.model_copy(update={"state": state})


def test_every_kind_is_tried() -> None:
    """A new kind is noticed here."""
    assert set(EVENTS) == set(EVENT_KINDS)


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("kind", EVENTS)
def test_the_state_after_an_event_is_the_views(kind: str, before: State) -> None:
    """The table says what the fold says, from every state."""
    event = EVENTS[kind]
    assert Heading.parse(event.to_bytes()).state_after(before) is project(waiting(before), event).state


def test_an_error_review_leaves_the_state_as_it_is() -> None:
    """It is the one checkpoint that has no state of its own."""
    event = EVENTS[OPENED]
    review = event.model_copy(update={"data": event.data.model_copy(update={"step": Step.ERROR_REVIEW})})
    assert Heading.parse(review.to_bytes()).state_after(State.API_CALL) is State.API_CALL


@pytest.mark.parametrize("kind", EVENTS)
def test_a_checkpoint_is_closed_by_the_events_that_close_it_in_the_view(kind: str) -> None:
    """No other ends it."""
    assert (kind in CLOSING) is (project(waiting(State.PAYLOAD_REVIEW), EVENTS[kind]).checkpoint is None)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_heading_says_what_the_event_says(kind: str) -> None:
    """Member by member, as far as it goes."""
    event = EVENTS[kind]
    heading = Heading.parse(event.to_bytes())
    names = ("kind", "run_id", "version", "at", "tenant", "user_id", "session_id", "actor")
    assert [getattr(heading, name) for name in names] == [getattr(event, name) for name in names]


SOUND = json.loads(EVENTS[OPENED].to_bytes())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b"{}",
        b"\xff",
        json.dumps({**SOUND, "version": 0}).encode(),
        json.dumps({**SOUND, "run_id": "x"}).encode(),
        json.dumps({**SOUND, "data": None}).encode(),
        *(
            json.dumps({**SOUND, "data": {**SOUND["data"], name: 7}}).encode()
            for name in ("checkpoint_id", "step", "subject_sha256")
        ),
        json.dumps({**SOUND, "data": {**SOUND["data"], "expires_at": "soon"}}).encode(),
    ],
    ids=[
        *("no value", "no JSON", "no members", "not UTF-8", "version 0", "no run", "no facts"),
        *("no checkpoint", "no step", "no digest", "no end"),
    ],
)
def test_what_is_no_event_is_refused(value: bytes) -> None:
    """A record that cannot be an event is named so before anything is made of it."""
    with pytest.raises(ValueError, match=r".+"):
        Heading.parse(value)
