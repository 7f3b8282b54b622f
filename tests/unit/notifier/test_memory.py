"""What the feed remembers: enough to say each state, and no more than it may."""

from __future__ import annotations

from uuid import uuid4

import pytest

from contracts.runs.events import RunEvent
from contracts.runs.views import RunView, State, project
from notifier.memory import Memory, after_anything, fold
from support.asking import approve, at_payload_review, completed, executed, pause, resume
from support.deciding import Story
from support.pushing import moved

FINISHED = at_payload_review().given(pause(), resume(), approve(), executed(), approve())


def learn(memory: Memory, events: list[RunEvent], size: int = 100) -> RunView | None:
    """Let a memory learn events in order; return the last view."""
    view: RunView | None = None
    for event in events:
        view = project(memory.before(event), event)
        memory.learn(event, view, size)
    return view


def test_the_states_are_those_of_the_runs_view() -> None:
    """Remembered from event to event, they are what a fold from the beginning says."""
    memory, folded = Memory(), None
    for event in moved(FINISHED):
        folded = project(folded, event)
        view = project(memory.before(event), event)
        memory.learn(event, view, 100)
        assert view == folded


def test_an_event_that_was_learnt_is_known_again() -> None:
    """It comes more than once when it is published again."""
    memory, events = Memory(), moved(FINISHED)
    learn(memory, events[:3])
    assert [memory.has_seen(event) for event in events[:5]] == [True, True, True, False, False]


def test_a_view_is_not_used_across_a_gap() -> None:
    """What came in between might have changed everything."""
    memory, events = Memory(), moved(FINISHED)
    learn(memory, events[:2])
    assert memory.before(events[2]) is not None
    assert memory.before(events[3]) is None


def test_the_runs_heard_of_last_are_remembered() -> None:
    """The number of runs is bounded."""
    memory = Memory(count=2)
    first, second, third = moved(FINISHED), moved(FINISHED), moved(FINISHED)
    for events in (first, second):
        learn(memory, events[:1])
    learn(memory, first[1:2])
    learn(memory, third[:1])
    assert [memory.has_seen(events[0]) for events in (first, second, third)] == [True, False, True]


def test_what_is_remembered_is_bounded_in_size_too() -> None:
    """Large subjects push out more of the old runs."""
    memory = Memory(size=1_000)
    runs = [moved(FINISHED) for _ in range(3)]
    for events in runs:
        learn(memory, events[:2], size=400)
    assert [memory.has_seen(events[0]) for events in runs] == [False, True, True]


def test_a_runs_weight_is_counted_once() -> None:
    """However many events it has."""
    memory = Memory(size=1_000)
    other = moved(FINISHED)
    learn(memory, other[:1], size=400)
    learn(memory, moved(FINISHED), size=400)
    assert memory.has_seen(other[0])


@pytest.mark.parametrize("story", [FINISHED, completed()])
def test_what_can_be_told_without_the_past_is_what_the_past_says(story: Story) -> None:
    """Some events decide the state alone; for the others it is not made up."""
    view: RunView | None = None
    told = 0
    for event in moved(story):
        view = project(view, event)
        alone = after_anything(event)
        assert alone is None or (alone.state, alone.checkpoint) == (view.state, view.checkpoint)
        told += alone is not None
    assert 0 < told < len(story.history)


def test_a_history_tells_what_an_event_follows() -> None:
    """If it reaches up to the event; what it has beyond is left out."""
    events = moved(FINISHED, uuid4())
    view = fold(events, until=4)
    assert view is not None
    assert (view.version, view.state) == (3, State.PAYLOAD_REVIEW)
    assert fold(events[:2], until=4) is None
    assert fold([], until=4) is None
