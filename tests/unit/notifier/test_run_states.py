"""The latest state of each run: right after each event, and within its bounds."""

from __future__ import annotations

from uuid import uuid4

import pytest

from contracts.providers.signals import Finding
from contracts.runs.events import CheckpointEscalated, CheckpointOpened
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.readers import ALL
from contracts.runs.tasks.task import PLAIN
from contracts.runs.views import State, project
from notifier.hub.run_states import RunStates, TrackedRun, evolve, fold, open_checkpoint, read_checkpoint
from testkit.runs.commands import (
    GOOD,
    approve,
    at_payload_review,
    checked,
    completed,
    edit,
    executed,
    pause,
    resume,
    time_is_up,
)
from testkit.runs.people import ADAM, BO, CY
from testkit.runs.pushed_events import headers_in, moved
from testkit.runs.specification import Story
from testkit.runs.tasks import by, claim, comment, escalate, under

FINISHED = at_payload_review().given(pause(), resume(), approve(), executed(), approve())
ESCALATED_TWICE = at_payload_review(on_timeout="escalate").given(time_is_up(), pause(), resume(), time_is_up())


def learn(states: RunStates, events: list[RunEvent]) -> TrackedRun | None:
    """Put the run after each event; return the last one."""
    run: TrackedRun | None = None
    for header, value in headers_in(events):
        run = evolve(states.before(header), header, value)
        states.put(header.run_id, run)
    return run


def has_seen(states: RunStates, *events: RunEvent) -> list[bool]:
    """Say of each event whether it was put."""
    return [states.has_seen(header) for header, _ in headers_in(events)]


@pytest.mark.parametrize("story", [FINISHED, ESCALATED_TWICE, completed()])
def test_the_states_and_the_checkpoints_are_those_of_the_runs_view(story: Story) -> None:
    """Evolved from event to event, they equal a fold from the beginning."""
    states, view = RunStates(), None
    for event in moved(story):
        view = project(view, event)
        run = learn(states, [event])
        assert run is not None
        assert (run.version, run.state) == (view.version, view.state)
        checkpoint = open_checkpoint(run)
        assert (checkpoint and checkpoint.model_dump()) == (view.checkpoint and view.checkpoint.model_dump())


def test_an_event_that_was_put_is_recognised() -> None:
    """The orchestrator publishes some events again after a crash."""
    states, events = RunStates(), moved(FINISHED)
    learn(states, events[:3])
    assert has_seen(states, *events[:5]) == [True, True, True, False, False]


def test_a_state_is_not_used_across_a_gap() -> None:
    """The events in between might have changed it."""
    states, events = RunStates(), moved(FINISHED)
    learn(states, events[:2])
    (following, _), (later, _) = headers_in(events[2:4])
    assert states.before(following) is not None
    assert states.before(later) is None


def test_the_least_recently_put_run_is_evicted() -> None:
    """The number of runs is bounded."""
    states = RunStates(count=2)
    first, second, third = moved(FINISHED), moved(FINISHED), moved(FINISHED)
    for events in (first, second):
        learn(states, events[:1])
    learn(states, first[1:2])
    learn(states, third[:1])
    assert has_seen(states, first[0], second[0], third[0]) == [True, False, True]


def test_the_map_is_bounded_in_size_too() -> None:
    """Large checkpoints evict more of the old runs."""
    runs = [moved(at_payload_review()) for _ in range(3)]
    states = RunStates(size=2 * len(runs[0][-1].to_bytes()))
    for events in runs:
        learn(states, events)
    assert has_seen(states, *(events[0] for events in runs)) == [False, True, True]


def test_a_decided_checkpoint_weighs_nothing() -> None:
    """Its records are not needed any more."""
    done = [moved(at_payload_review().given(approve())) for _ in range(3)]
    states = RunStates(size=2 * len(done[0][0].to_bytes()) + 1)
    for events in done:
        learn(states, events)
    assert has_seen(states, *(events[0] for events in done)) == [True, True, True]


def test_a_run_of_which_only_the_version_is_known_has_no_checkpoint() -> None:
    """Its facts are in records that did not come. Who may read it is not known, which is another thing than no one."""
    events = moved(ESCALATED_TWICE)
    ((escalated, value),) = headers_in([event for event in events if event.kind == CheckpointEscalated.kind][:1])
    run = evolve(None, escalated, value)
    assert run == TrackedRun(escalated.version, None, readers=None)
    assert open_checkpoint(run) is None


def test_a_history_gives_the_run_before_an_event() -> None:
    """If it reaches up to the event; later events are ignored."""
    values = [event.to_bytes() for event in moved(FINISHED, uuid4())]
    opened = next(number for number, event in enumerate(FINISHED.history, 1) if event.kind == CheckpointOpened.kind)
    run = fold(values, until=opened + 1)
    assert run == TrackedRun(opened, State.PAYLOAD_REVIEW, (values[opened - 1],), None, ALL, PLAIN)
    assert fold(values[: opened - 1], until=opened + 1) is None
    assert fold([], until=4) is None


OPENING = at_payload_review().history[-1]


def test_a_checkpoint_is_read_as_the_view_shows_it() -> None:
    """All members, and those that the event's data do not hold."""
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
    """It lacks the members of one."""
    with pytest.raises(ValueError, match="subject"):
        read_checkpoint(at_payload_review().given(approve()).history[-2].to_bytes())


def test_a_checkpoint_under_rules_is_shown_with_its_task() -> None:
    """From its opening alone, and after each event of the task, as the run's view shows it."""
    story = under({"candidates": {"groups": ["legal"]}, "approvals_required": 2, "due_seconds": 3600})
    for ask in (by(BO, claim()), by(BO, comment()), by(BO, approve()), by(ADAM, escalate(to={"groups": ["leads"]}))):
        run = learn(RunStates(), list(story.history))
        assert run is not None
        assert open_checkpoint(run) == story.now.view.checkpoint
        story = story.given(ask)


def test_a_checkpoint_that_comes_again_says_who_edited_it() -> None:
    """As the run's view does, where four eyes are to see it."""
    found = GOOD.model_copy(update={"findings": (Finding(check="pii", code="pii_found", message="x", force=True),)})
    edited = under({"four_eyes": True}).given(by(CY, edit({"temperature": 1})), by(BO, approve()))
    story = edited.given(checked(signals=found))
    run = learn(RunStates(), list(story.history))
    assert run is not None
    assert run.task is not None
    assert run.task.revised_by == "cy"
    assert open_checkpoint(run) == story.now.view.checkpoint


def test_a_run_is_seen_by_whom_it_asks_and_by_who_took_part() -> None:
    """As the read model keeps it; what was seen once stays so. Who lets others be asked takes no part by that."""
    rules = {"candidates": {"groups": ["legal"]}, "approvals_required": 2, "escalate_to": {"users": ["cy", "di"]}}
    story = under(rules).given(by(BO, approve()), by(ADAM, escalate()))
    run = learn(RunStates(), list(story.history))
    assert run is not None
    assert run.requester == "rita"
    assert set(run.readers or ()) == {"g:legal", "u:bo", "u:cy", "u:di"}
