"""The law of times can be broken: it passes over what the core decides, and notices a history that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from chaos.verdict.time_laws import timely
from contracts.runs import events as e
from testkit.runs import commands
from testkit.runs.commands import pause, resume
from testkit.runs.people import ANN, BO
from testkit.runs.tasks import by, reschedule, time_comes, under

from .breaches import Breach, History, before, doubled, earlier, without


def times() -> History:
    """Return a history in which every time of a task came before the decision."""
    rules = {"reminders_seconds": [10, 20], "start_by_seconds": 12, "due_seconds": 25, "escalate_after_seconds": 30}
    asked = {"candidates": {"users": ["ann"]}, "escalate_to": {"users": ["bo"]}}
    return under({**rules, **asked}).given(*[time_comes()] * 5, by(BO, commands.approve())).later(60).history


def moved() -> History:
    """Return a history in which dates were moved before they came, and a due date that was missed was moved once more."""
    story = under({"due_seconds": 100, "reminders_seconds": [10]})
    first, last = story.at + timedelta(seconds=50), story.at + timedelta(seconds=90)
    story = story.given(by(ANN, reschedule(due_at=first, follow_up_at=first)), *[time_comes()] * 3)
    story = story.given(by(BO, reschedule(due_at=last)), time_comes())
    return story.given(by(BO, commands.approve())).later(60).history


def cleared() -> History:
    """Return a history in which dates were taken away."""
    story = under({"due_seconds": 10}).given(by(ANN, reschedule(cleared=("due_at",))))
    return story.later(60).given(by(BO, commands.approve())).history


def put_off() -> History:
    """Return a history that was held over times to come, while one of them was moved."""
    story = under(
        {"due_seconds": 100, "reminders_seconds": [10], "escalate_after_seconds": 200, "escalate_to": BO_ALONE}
    )
    story = story.given(by(BO, pause())).later(300)
    story = story.given(by(ANN, reschedule(due_at=story.at + timedelta(seconds=30)))).later(20)
    return story.given(by(BO, resume()), *[time_comes()] * 3, by(BO, commands.approve())).history


BO_ALONE = {"users": ["bo"]}


@pytest.mark.parametrize("history", [times, moved, cleared, put_off])
def test_what_the_core_decides_breaks_none(history: Callable[[], History]) -> None:
    """The law notices nothing but breaches."""
    assert list(timely(history())) == []


BREACHES: list[tuple[str, Callable[[], History], Breach]] = [
    ("a reminder is lost", times, without(e.TaskReminded)),
    ("a reminder comes twice", times, doubled(e.TaskReminded)),
    ("a reminder comes too early", times, earlier(e.TaskReminded, 1)),
    ("a missed start is not told", times, without(e.TaskReminded, 1)),
    ("a due date comes twice", times, doubled(e.TaskReminded, 3)),
    ("an escalation is lost", times, without(e.TaskEscalated)),
    ("an escalation comes twice", times, doubled(e.TaskEscalated)),
    ("an escalation comes too early", times, earlier(e.TaskEscalated, 1)),
    ("a moved due date comes as it was set before", moved, earlier(e.TaskReminded, 1, 1)),
    ("a moved follow-up date comes twice", moved, doubled(e.TaskReminded, 2)),
    ("a moved due date never comes", moved, without(e.TaskReminded, 3)),
    ("a due date comes that was moved meanwhile", moved, without(e.TaskRescheduled, 1)),
    ("a due date comes that was taken away", cleared, without(e.TaskRescheduled)),
    ("a reminder comes while the run is held", put_off, before(e.TaskReminded, e.RunResumed)),
    ("a reminder is not put off by a pause", put_off, earlier(e.TaskReminded, 1)),
    ("a due date is not put off by the rest of a pause", put_off, earlier(e.TaskReminded, 1, 1)),
    ("an escalation is not put off by a pause", put_off, earlier(e.TaskEscalated, 1)),
]


@pytest.mark.parametrize(("history", "breach"), [row[1:] for row in BREACHES], ids=[row[0] for row in BREACHES])
def test_the_law_of_times_notices_its_breach(history: Callable[[], History], breach: Breach) -> None:
    """A law that cannot be broken proves nothing."""
    assert list(timely(breach(history())))
