"""The laws of tasks can be broken: each passes over what the core decides, and notices a history that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from chaos.verdict import task_laws
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from testkit.runs import commands
from testkit.runs.people import ADAM, ANN, BO, DI
from testkit.runs.specification import Story
from testkit.runs.tasks import by, claim, comment, escalate, release, time_comes, under

LAWS = (task_laws.held, task_laws.timely, task_laws.voted)

History = Sequence[RunEvent]
Breach = Callable[[History], History]


def claims() -> History:
    """Return a history with a renewed claim that lapsed, one that was given up, one that was overridden, and the decision."""
    story = under({"lease_seconds": 100}).given(by(ANN, claim())).later(50).given(by(ANN, comment()))
    story = story.given(time_comes(), time_comes(), by(BO, claim()), by(BO, release()), by(ANN, claim()))
    return story.given(by(ADAM, claim(override=True, reason="urgent")), by(ADAM, commands.approve())).history


def times() -> History:
    """Return a history in which every time of a task came before the decision."""
    rules = {"reminders_seconds": [10, 20], "start_by_seconds": 12, "due_seconds": 25, "escalate_after_seconds": 30}
    asked = {"candidates": {"users": ["ann"]}, "escalate_to": {"users": ["bo"]}}
    return under({**rules, **asked}).given(*[time_comes()] * 5, by(BO, commands.approve())).later(60).history


def votes() -> History:
    """Return a history of two stages, whose second has two votes."""
    second = {"name": "second", "approvals_required": 2}
    story = under({"stages": [{"name": "first", "candidates": {"users": ["ann"]}}, second]})
    return story.given(*(by(person, commands.approve()) for person in (ANN, BO, DI))).history


def edited() -> History:
    """Return a history in which an edit sets the count back."""
    story = under({"approvals_required": 2}).given(by(ANN, commands.approve()))
    story = story.given(by(BO, commands.edit({"temperature": 0.1})), by(ANN, commands.approve()))
    return story.history


def escalated() -> History:
    """Return a history in which a person escalated what the clock would have."""
    rules: dict[str, Any] = {"escalate_after_seconds": 30, "escalate_to": {"users": ["bo"]}}
    story: Story = under(rules).given(by(ANN, claim()), by(ANN, escalate()), by(BO, commands.approve()))
    return story.history


@pytest.mark.parametrize("history", [claims, times, votes, edited, escalated])
def test_what_the_core_decides_breaks_none(history: Callable[[], History]) -> None:
    """The laws notice nothing but breaches."""
    assert [breach for law in LAWS for breach in law(history())] == []


def without(kind: type[e.Event], which: int = 0) -> Breach:
    """Lose one of the events of a kind."""

    def breach(history: History) -> History:
        lost = _found(history, kind)[which]
        return [record for record in history if record is not lost]

    return breach


def doubled(kind: type[e.Event], which: int = 0) -> Breach:
    """Have one of the events of a kind twice."""

    def breach(history: History) -> History:
        twice = _found(history, kind)[which]
        return [copy for record in history for copy in ([record, record] if record is twice else [record])]

    return breach


def earlier(kind: type[e.Event], seconds: float, which: int = 0) -> Breach:
    """Let one of the events of a kind come earlier than it did."""

    def breach(history: History) -> History:
        moved = _found(history, kind)[which]
        changed = moved.model_copy(update={"at": moved.at - timedelta(seconds=seconds)})
        return [changed if record is moved else record for record in history]

    return breach


def by_another(kind: type[e.Event], which: int = 0) -> Breach:
    """Let another person do it, who did so before."""

    def breach(history: History) -> History:
        done = _found(history, kind)[which]
        changed = done.model_copy(update={"actor": BO.subject, "principal": BO})
        return [changed if record is done else record for record in history]

    return breach


def unexplained(history: History) -> History:
    """Claim over another's claim without a reason."""
    taken = _found(history, e.TaskClaimed)[-1]
    changed = taken.model_copy(update={"data": taken.data.model_copy(update={"reason": None})})
    return [changed if record is taken else record for record in history]


def cut_off(kind: type[e.Event]) -> Breach:
    """End the history with the first event of a kind."""
    return lambda history: history[: history.index(_found(history, kind)[0]) + 1]


BREACHES: list[tuple[str, Callable[[], History], Breach, Any]] = [
    ("two hold it", claims, unexplained, task_laws.held),
    ("a lapsed claim never ends", claims, without(e.ClaimEnded), task_laws.held),
    ("a released claim never ends", claims, without(e.ClaimEnded, 1), task_laws.held),
    ("a claim ends twice", claims, doubled(e.ClaimEnded), task_laws.held),
    ("a claim expires before its lease", claims, earlier(e.ClaimEnded, 1), task_laws.held),
    ("the end of a lease is announced twice", claims, doubled(e.ClaimEnding), task_laws.held),
    ("the end of a lease is announced too early", claims, earlier(e.ClaimEnding, 60), task_laws.held),
    ("a claim is lost", claims, without(e.TaskClaimed), task_laws.held),
    ("a claim is there twice", claims, doubled(e.TaskClaimed), task_laws.held),
    ("a claim is renewed by another", claims, by_another(e.ClaimRenewed), task_laws.held),
    ("a claim is held for ever", claims, cut_off(e.TaskClaimed), task_laws.held),
    ("a reminder is lost", times, without(e.TaskReminded), task_laws.timely),
    ("a reminder comes twice", times, doubled(e.TaskReminded), task_laws.timely),
    ("a reminder comes too early", times, earlier(e.TaskReminded, 1), task_laws.timely),
    ("a missed start is not told", times, without(e.TaskReminded, 1), task_laws.timely),
    ("a due date comes twice", times, doubled(e.TaskReminded, 3), task_laws.timely),
    ("an escalation is lost", times, without(e.TaskEscalated), task_laws.timely),
    ("an escalation comes twice", times, doubled(e.TaskEscalated), task_laws.timely),
    ("an escalation comes too early", times, earlier(e.TaskEscalated, 1), task_laws.timely),
    ("a vote counts twice", votes, doubled(e.VoteCast, 1), task_laws.voted),
    ("one person votes twice at a stage", votes, by_another(e.VoteCast, 2), task_laws.voted),
    ("a stage passes without its vote", votes, without(e.VoteCast), task_laws.voted),
    ("a decision has a vote too few", votes, without(e.VoteCast, 2), task_laws.voted),
    ("a person decides who was not asked", escalated, without(e.TaskEscalated), task_laws.voted),
]


@pytest.mark.parametrize(("history", "breach", "law"), [row[1:] for row in BREACHES], ids=[row[0] for row in BREACHES])
def test_each_law_of_tasks_notices_its_breach(history: Callable[[], History], breach: Breach, law: Any) -> None:
    """A law that cannot be broken proves nothing."""
    assert list(law(breach(history())))


def _found(history: History, kind: type[e.Event]) -> list[RunEvent]:
    return [record for record in history if isinstance(record.data, kind)]
