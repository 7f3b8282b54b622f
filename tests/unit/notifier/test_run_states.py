"""What the feed remembers: enough to say each state and to ask once more, and no more than it may."""

from __future__ import annotations

from uuid import uuid4

import pytest

from contracts.runs.events import CheckpointEscalated, CheckpointOpened
from contracts.runs.run_event import RunEvent
from contracts.runs.views import State, project
from notifier.hub.run_states import Known, Memory, after, fold, open_checkpoint, read_checkpoint
from testkit.runs.commands import approve, at_payload_review, completed, executed, pause, resume, time_is_up
from testkit.runs.pushed_events import headers_in, moved
from testkit.runs.specification import Story

FINISHED = at_payload_review().given(pause(), resume(), approve(), executed(), approve())
ESCALATED_TWICE = at_payload_review(on_timeout="escalate").given(time_is_up(), pause(), resume(), time_is_up())


def learn(memory: Memory, events: list[RunEvent]) -> Known | None:
    """Let a memory learn events in order; return what it knows then."""
    known: Known | None = None
    for header, value in headers_in(events):
        known = after(memory.before(header), header, value)
        memory.learn(header.run_id, known)
    return known


def has_seen(memory: Memory, *events: RunEvent) -> list[bool]:
    """Say of each event whether the memory knows it."""
    return [memory.has_seen(header) for header, _ in headers_in(events)]


@pytest.mark.parametrize("story", [FINISHED, ESCALATED_TWICE, completed()])
def test_the_states_and_the_checkpoints_are_those_of_the_runs_view(story: Story) -> None:
    """Remembered from event to event, they are what a fold from the beginning says."""
    memory, view = Memory(), None
    for event in moved(story):
        view = project(view, event)
        known = learn(memory, [event])
        assert known is not None
        assert (known.version, known.state) == (view.version, view.state)
        checkpoint = open_checkpoint(known)
        assert (checkpoint and checkpoint.model_dump()) == (view.checkpoint and view.checkpoint.model_dump())


def test_an_event_that_was_learnt_is_known_again() -> None:
    """It comes more than once when it is published again."""
    memory, events = Memory(), moved(FINISHED)
    learn(memory, events[:3])
    assert has_seen(memory, *events[:5]) == [True, True, True, False, False]


def test_what_is_known_is_not_used_across_a_gap() -> None:
    """What came in between might have changed everything."""
    memory, events = Memory(), moved(FINISHED)
    learn(memory, events[:2])
    (following, _), (later, _) = headers_in(events[2:4])
    assert memory.before(following) is not None
    assert memory.before(later) is None


def test_the_runs_heard_of_last_are_remembered() -> None:
    """The number of runs is bounded."""
    memory = Memory(count=2)
    first, second, third = moved(FINISHED), moved(FINISHED), moved(FINISHED)
    for events in (first, second):
        learn(memory, events[:1])
    learn(memory, first[1:2])
    learn(memory, third[:1])
    assert has_seen(memory, first[0], second[0], third[0]) == [True, False, True]


def test_what_is_remembered_is_bounded_in_size_too() -> None:
    """Large checkpoints push out more of the old runs."""
    runs = [moved(at_payload_review()) for _ in range(3)]
    memory = Memory(size=2 * len(runs[0][-1].to_bytes()))
    for events in runs:
        learn(memory, events)
    assert has_seen(memory, *(events[0] for events in runs)) == [False, True, True]


def test_a_checkpoint_that_is_decided_weighs_nothing() -> None:
    """What is not asked for again is not kept."""
    done = [moved(at_payload_review().given(approve())) for _ in range(3)]
    memory = Memory(size=2 * len(done[0][0].to_bytes()) + 1)
    for events in done:
        learn(memory, events)
    assert has_seen(memory, *(events[0] for events in done)) == [True, True, True]


def test_a_run_of_which_only_the_version_is_known_has_no_checkpoint() -> None:
    """It is not made up."""
    events = moved(ESCALATED_TWICE)
    ((escalated, value),) = headers_in([event for event in events if event.kind == CheckpointEscalated.kind][:1])
    known = after(None, escalated, value)
    assert known == Known(escalated.version, None)
    assert open_checkpoint(known) is None


def test_a_history_tells_what_an_event_follows() -> None:
    """If it reaches up to the event; what it has beyond is left out."""
    values = [event.to_bytes() for event in moved(FINISHED, uuid4())]
    opened = next(number for number, event in enumerate(FINISHED.history, 1) if event.kind == CheckpointOpened.kind)
    known = fold(values, until=opened + 1)
    assert known == Known(opened, State.PAYLOAD_REVIEW, (values[opened - 1],))
    assert fold(values[: opened - 1], until=opened + 1) is None
    assert fold([], until=4) is None


OPENING = at_payload_review().history[-1]


def test_a_checkpoint_is_read_as_the_view_shows_it() -> None:
    """All members, and those that the facts do not hold."""
    shown = project(None, OPENING).checkpoint
    assert shown is not None
    assert read_checkpoint(OPENING.to_bytes()).model_dump() == shown.model_dump()


def test_a_checkpoint_that_was_recorded_with_fewer_members_is_read() -> None:
    """Members were added to the kind, and may be again."""
    short = OPENING.data.model_dump(mode="json", exclude={"issues", "subject_schema", "approvals_required", "context"})
    value = OPENING.model_dump(mode="json")
    old = RunEvent.model_validate(value | {"data": short})
    assert set(short) < set(value["data"])
    assert read_checkpoint(old.to_bytes()).model_dump() == (project(None, old).checkpoint or old).model_dump()


def test_a_decision_is_no_checkpoint() -> None:
    """It has not the members of one."""
    with pytest.raises(ValueError, match="subject"):
        read_checkpoint(at_payload_review().given(approve()).history[-2].to_bytes())
