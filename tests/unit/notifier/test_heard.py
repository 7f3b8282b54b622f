"""What is read of an event: as much as the fold of the contracts makes of it, and nothing that it does not say."""

from __future__ import annotations

import pytest
from pydantic_core import to_json

from contracts.runs.config import Step
from contracts.runs.event_header import OPENED
from contracts.runs.events import EVENT_KINDS
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, State, project
from notifier.hub.event_header import Heard, read_checkpoint
from testkit.runs.commands import approve, at_payload_review
from testkit.runs.samples import samples

EVENTS = {kind: event for kind, event in samples().items() if isinstance(event, RunEvent)}


def heard(event: RunEvent) -> Heard:
    """Return an event as the feed reads it."""
    return Heard.model_validate_json(event.to_bytes())


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
    """The table says what the contracts' fold says, from every state."""
    event = EVENTS[kind]
    assert heard(event).state_after(before) is project(waiting(before), event).state


@pytest.mark.parametrize("kind", EVENTS)
def test_a_state_that_is_told_without_the_past_is_the_same_whatever_the_past(kind: str) -> None:
    """Otherwise it is not told."""
    states = {project(waiting(before), EVENTS[kind]).state for before in State}
    assert heard(EVENTS[kind]).state_after(None) is (states.pop() if len(states) == 1 else None)


def test_an_error_review_leaves_the_state_as_it_is() -> None:
    """It is the one checkpoint that has no state of its own."""
    event = EVENTS[OPENED]
    review = event.model_copy(update={"data": event.data.model_copy(update={"step": Step.ERROR_REVIEW})})
    assert heard(review).state_after(State.API_CALL) is State.API_CALL
    assert heard(review).state_after(None) is None


def test_a_checkpoint_is_read_as_the_view_shows_it() -> None:
    """All members, and those that the facts do not hold."""
    event = EVENTS[OPENED]
    assert read_checkpoint(event.to_bytes()).model_dump() == (project(None, event).checkpoint or event).model_dump()


def test_a_checkpoint_that_was_recorded_with_fewer_members_is_read() -> None:
    """Members were added to the kind, and may be again."""
    event = at_payload_review().history[-1]
    short = event.data.model_dump(mode="json", exclude={"issues", "subject_schema", "approvals_required", "context"})
    value = RunEvent.parse(event.model_copy(update={"data": event.data}).to_bytes()).model_dump(mode="json")
    old = RunEvent.model_validate(value | {"data": short})
    assert set(short) < set(value["data"])
    assert read_checkpoint(old.to_bytes()).model_dump() == (project(None, old).checkpoint or old).model_dump()


def test_an_id_in_another_form_is_malformed() -> None:
    """Runs are found by its text, and each has one."""
    value, run_id = EVENTS[OPENED].to_bytes(), str(EVENTS[OPENED].run_id)
    assert Heard.model_validate_json(value).run_id == run_id
    for written in (run_id.upper(), run_id.replace("-", ""), f"{run_id}\n"):
        other = value.replace(to_json(run_id), to_json(written))
        with pytest.raises(ValueError, match="run_id"):
            Heard.model_validate_json(other)


def test_a_decision_is_no_checkpoint() -> None:
    """It has not the members of one."""
    with pytest.raises(ValueError, match="subject"):
        read_checkpoint(at_payload_review().given(approve()).history[-2].to_bytes())
