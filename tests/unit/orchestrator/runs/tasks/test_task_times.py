"""The times of a task: reminders, the time to begin, the due date, the follow-up date. Each is told once, and a stale one does nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from contracts.runs import commands as c
from contracts.runs import events as e
from orchestrator.runs.state import MOST_EVENTS
from testkit.runs.commands import again, approve, at_length, pause, reject, resume, time_is_up
from testkit.runs.people import ANN, BO, CY
from testkit.runs.specification import MORNING, Ask, Story, like
from testkit.runs.tasks import assign, by, claim, delegate, give_back, reschedule, task_of, time_comes, under

RULES = {
    "candidates": {"users": ["ann", "bo"]},
    "start_by_seconds": 900,
    "due_seconds": 3600,
    "reminders_seconds": [1800, 1200],
}
OPEN = under(RULES)


def _times(story: Story) -> list[tuple[str, float]]:
    """Return what the clock tells of an untouched task, each with its seconds since the checkpoint opened."""
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    told = []
    while isinstance(due := story.due, c.PassTaskTime):
        told.append((due.what, (due.at - checkpoint.opened_at).total_seconds()))
        story = story.given(time_comes())
    return told


def test_times_count_from_when_the_checkpoint_opens_and_come_in_their_order() -> None:
    """Each is told once; then the end of the checkpoint is waited for."""
    assert _times(OPEN) == [("start_by", 900), ("reminder", 1200), ("reminder", 1800), ("due_at", 3600)]


def test_a_time_that_comes_is_an_event() -> None:
    """The view says what was missed and how often people were reminded."""
    first = OPEN.when(time_comes())
    first.then(like(e.TaskReminded, what="start_by")).leaves(checkpoint__task__missed=("start_by",))
    first.story.when(time_comes()).then(like(e.TaskReminded, what="reminder")).leaves(checkpoint__task__reminded=1)


def test_two_reminders_at_one_time_are_one() -> None:
    """The clock's second command would have the id of the first, and never take effect: the run would wait for ever."""
    story = under({"reminders_seconds": [60, 60, 60.0000001, 120]})
    assert _times(story) == [("reminder", 60), ("reminder", 120)]
    assert story.given(time_comes(), time_comes()).when(time_is_up()).refusal is None


def test_who_has_begun_misses_no_start() -> None:
    """A claim is a beginning, and so is a vote."""
    assert "start_by" not in dict(_times(OPEN.given(by(ANN, claim()))))
    voted = under({**RULES, "approvals_required": 2}).given(by(ANN, approve()))
    assert "start_by" not in dict(_times(voted))


def test_a_pause_gives_its_time_back() -> None:
    """All but the follow-up date, which is a day in the calendar."""
    later = (MORNING + timedelta(days=1)).isoformat()
    story = under({**RULES, "escalate_after_seconds": 2700, "escalate_to": {"users": ["cy"]}, "follow_up_at": later})
    before = task_of(story)
    paused = story.given(pause())
    assert paused.due is None
    resumed = paused.later(5000).given(resume())
    after, waited = task_of(resumed), resumed.history[-1].at - paused.history[-1].at
    assert waited > timedelta(seconds=5000)
    assert None not in (before.start_by, before.due_at, before.escalate_at)
    assert (after.start_by, after.due_at, after.escalate_at) == (
        before.start_by and before.start_by + waited,
        before.due_at and before.due_at + waited,
        before.escalate_at and before.escalate_at + waited,
    )
    assert after.reminders_at == tuple(at + waited for at in before.reminders_at)
    assert after.follow_up_at == before.follow_up_at
    resumed.when(time_comes()).then(like(e.TaskReminded, what="start_by"))


def test_a_due_date_that_is_set_during_a_pause_gets_the_rest_of_it() -> None:
    """One that was set before gets the whole, as the others do."""
    before = OPEN.given(by(ANN, reschedule(due_at=OPEN.at + timedelta(days=1))))
    paused = before.given(pause()).later(5000)
    moved = paused.given(by(ANN, reschedule(due_at=paused.at + timedelta(days=2)))).later(300)
    set_at, due_at, resumed = moved.history[-1].at, task_of(moved).due_at, moved.given(resume())
    assert due_at is not None
    assert task_of(resumed).due_at == due_at + (resumed.history[-1].at - set_at)
    whole, at = paused.given(resume()), task_of(before).due_at
    assert at is not None
    assert task_of(whole).due_at == at + (whole.history[-1].at - before.given(pause()).history[-1].at)


def test_a_time_of_a_paused_run_does_nothing() -> None:
    """It comes again when the run goes on."""
    due = OPEN.due
    paused = OPEN.given(pause())
    outcome = paused.when(again(due)).refused_with("not_allowed")
    assert outcome.events == ()


@pytest.mark.parametrize("ask", [claim(), assign("bo"), reschedule(priority=90)], ids=["claim", "assign", "reschedule"])
def test_a_time_of_an_earlier_epoch_does_nothing(ask: Ask) -> None:
    """The refusal is not remembered and leaves no event."""
    due = OPEN.due
    outcome = OPEN.given(by(ANN, ask)).when(again(due))
    outcome.refused_with("not_allowed")
    assert outcome.refusal is not None
    assert not outcome.refusal.remembered
    assert outcome.events == ()


def test_a_time_of_another_checkpoint_or_one_that_is_decided_does_nothing() -> None:
    """Neither does one of a kind that this version does not know."""
    due = OPEN.due
    OPEN.given(by(ANN, approve())).when(again(due)).refused_with("not_allowed")
    OPEN.when(again(due).but(checkpoint_id=due and due.command_id)).refused_with("not_allowed")
    OPEN.when(again(due).but(what="sundown")).refused_with("not_allowed")


def test_a_time_is_not_told_before_it_has_come() -> None:
    """Another orchestrator's clock may be ahead."""
    due = OPEN.due
    assert due is not None
    OPEN.when(again(due).but(at=due.at - timedelta(microseconds=1))).refused_with("not_allowed")


def test_a_clock_that_is_late_tells_each_time_once() -> None:
    """It tells them one by one, and the same command twice is told once."""
    late = OPEN.later(7200)
    due = late.due
    told = late.given(time_comes())
    told.when(again(due)).then()
    assert [what for what, _ in _times(told)] == ["reminder", "reminder", "due_at"]


def test_priority_and_dates_are_changed_by_who_is_asked() -> None:
    """Those that are not named stay; those that are cleared go."""
    at = OPEN.at + timedelta(hours=5)
    story = OPEN.given(by(ANN, reschedule(priority=0, follow_up_at=at)))
    task = task_of(story)
    assert (task.priority, task.due_at, task.follow_up_at) == (0, task_of(OPEN).due_at, at)
    cleared = task_of(story.given(by(BO, reschedule(cleared=("due_at", "follow_up_at")))))
    assert (cleared.priority, cleared.due_at, cleared.follow_up_at) == (0, None, None)
    OPEN.when(by(CY, reschedule(priority=0))).refused_with("not_candidate")


def test_a_due_date_that_was_missed_and_is_moved_can_be_missed_again() -> None:
    """The reminder belongs to the date."""
    missed = OPEN.given(*[time_comes()] * 4)
    assert "due_at" in task_of(missed).missed
    moved = missed.given(by(ANN, reschedule(due_at=missed.at + timedelta(hours=1))))
    assert "due_at" not in task_of(moved).missed
    moved.when(time_comes()).then(like(e.TaskReminded, what="due_at"))
    other = missed.given(by(ANN, reschedule(priority=1)))
    assert "due_at" in task_of(other).missed


@pytest.mark.parametrize("name", ["due_at", "follow_up_at"])
def test_a_date_that_has_passed_is_refused(name: str) -> None:
    """The refusal names the field."""
    outcome = OPEN.when(by(ANN, reschedule(**{name: OPEN.at})))
    outcome.refused_with("validation_failed")
    assert [issue["path"] for issue in outcome.details["issues"]] == [f"/{name}"]


def test_a_follow_up_date_is_told_when_it_comes_and_then_is_none() -> None:
    """Until then the waiting list leaves the task out. One that has passed when the checkpoint opens is told at once."""
    tomorrow: datetime = MORNING + timedelta(hours=3)
    story = under({"follow_up_at": tomorrow.isoformat()})
    story.when(time_comes()).then(like(e.TaskReminded, what="follow_up_at")).leaves(checkpoint__task__follow_up_at=None)
    past = under({"follow_up_at": "2020-01-01T00:00:00Z"})
    past.when(time_comes()).then(like(e.TaskReminded, what="follow_up_at"))


def test_a_run_with_too_many_events_takes_no_more_of_a_task() -> None:
    """What leads to its end stays possible: a decision, and the clock."""
    long = at_length(OPEN, MOST_EVENTS)
    for ask in (claim(), assign("bo"), reschedule(priority=1)):
        long.when(by(ANN, ask)).refused_with("history_too_long")
    assert long.when(time_comes()).refusal is None
    assert long.when(by(ANN, approve())).refusal is None


@pytest.mark.parametrize("ask", [approve(), reject()])
def test_neither_a_claim_nor_a_return_that_can_come_no_more_keeps_a_run_from_its_end(ask: Ask) -> None:
    """Where it takes no claim any more, none is asked for; a task that was delegated is decided without its return."""
    required = at_length(under({"claim": "required"}), MOST_EVENTS)
    required.when(by(ANN, claim())).refused_with("history_too_long")
    assert required.when(by(ANN, ask)).refusal is None
    delegated = at_length(OPEN.given(by(ANN, delegate("bo"))), MOST_EVENTS)
    delegated.when(by(ANN, give_back())).refused_with("history_too_long")
    assert delegated.when(by(ANN, ask)).refusal is None
    before = at_length(OPEN.given(by(ANN, delegate("bo"))), MOST_EVENTS - 1)
    before.when(by(ANN, ask)).refused_with("delegated")
