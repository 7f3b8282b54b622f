"""What is read of an event without its facts: as much as the views' fold makes of it, and nothing that it does not say."""

from __future__ import annotations

import json

import pytest
from pydantic_core import to_json

from contracts.runs.config import Step
from contracts.runs.event_header import EFFECTS, EventHeader, Facts, State
from contracts.runs.events import EVENT_KINDS, CheckpointOpened
from contracts.runs.views import RunView, project
from testkit.messages.golden import sample_events
from testkit.runs.commands import at_payload_review

OPENED = CheckpointOpened.kind
EVENTS = sample_events()
SOUND = json.loads(EVENTS[OPENED].to_bytes())


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


def test_every_kind_has_a_row_in_the_table_of_effects() -> None:
    """A kind without one would be a kind that this version does not know."""
    assert set(EFFECTS) == set(EVENT_KINDS)


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("kind", EVENTS)
def test_the_state_after_an_event_is_the_views(kind: str, before: State) -> None:
    """The table says what the fold says, from every state."""
    event = EVENTS[kind]
    assert EventHeader.parse(event.to_bytes()).state_after(before) is project(waiting(before), event).state


def test_an_error_review_leaves_the_state_as_it_is() -> None:
    """It is the one checkpoint that has no state of its own."""
    event = EVENTS[OPENED]
    review = event.model_copy(update={"data": event.data.model_copy(update={"step": Step.ERROR_REVIEW})})
    header = EventHeader.parse(review.to_bytes())
    assert header.state_after(State.API_CALL) is State.API_CALL
    assert header.state_after(None) is None


def test_a_checkpoint_at_a_step_that_there_is_not_is_refused() -> None:
    """The state is not guessed."""
    told = {**SOUND, "data": {**SOUND["data"], "step": "lunch_review"}}
    with pytest.raises(ValueError, match="lunch_review"):
        EventHeader.parse(json.dumps(told).encode()).state_after(None)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_checkpoint_is_closed_by_the_events_that_close_it_in_the_view(kind: str) -> None:
    """No other ends it."""
    assert EFFECTS[kind].closes is (project(waiting(State.PAYLOAD_REVIEW), EVENTS[kind]).checkpoint is None)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_header_says_what_the_event_says(kind: str) -> None:
    """Member by member, as far as it goes."""
    event = EVENTS[kind]
    header = EventHeader.parse(event.to_bytes())
    names = ("kind", "version", "tenant", "user_id", "session_id", "actor")
    assert [getattr(header, name) for name in names] == [getattr(event, name) for name in names]
    assert (header.run_uuid, header.moment) == (event.run_id, event.at)


@pytest.mark.parametrize("kind", [kind for kind, effect in EFFECTS.items() if effect.opens or effect.action])
def test_facts_are_those_of_the_event(kind: str) -> None:
    """Of a checkpoint that opens, and of each decision."""
    event = EVENTS[kind]
    facts = EventHeader.parse_with_facts(event.to_bytes()).data
    for name in Facts.__annotations__:
        assert facts.get(name) == getattr(event.data, name, None)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_state_that_is_told_without_the_past_is_the_same_whatever_the_past(kind: str) -> None:
    """Otherwise it is not told."""
    states = {project(waiting(before), EVENTS[kind]).state for before in State}
    header = EventHeader.parse(EVENTS[kind].to_bytes())
    assert header.state_after(None) is (states.pop() if len(states) == 1 else None)


def test_facts_of_an_unknown_kind_are_kept_as_they_came() -> None:
    """It may mean something else by our names."""
    later = {**SOUND, "kind": "run-blessed.v1", "data": {"checkpoint_id": 7, "step": "x", "expires_at": []}}
    assert EventHeader.parse_with_facts(json.dumps(later).encode()).data == later["data"]


def test_an_id_in_another_form_is_malformed() -> None:
    """Runs are found by its text, and each has one."""
    value, run_id = EVENTS[OPENED].to_bytes(), str(EVENTS[OPENED].run_id)
    assert EventHeader.parse(value).run_id == run_id
    for written in (run_id.upper(), run_id.replace("-", ""), f"{run_id}\n"):
        other = value.replace(to_json(run_id), to_json(written))
        with pytest.raises(ValueError, match="run_id"):
            EventHeader.parse(other)


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
        EventHeader.parse_with_facts(value)
