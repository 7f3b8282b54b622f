"""The laws of tasks can be broken: each passes over what the core decides, and notices a history that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chaos.verdict import task_laws, time_laws
from contracts.runs import events as e
from contracts.runs.tasks.rules import ReviewRules
from testkit.runs import commands
from testkit.runs.commands import pause, resume
from testkit.runs.people import ADAM, ANN, BO, CY, DI
from testkit.runs.specification import Story, given
from testkit.runs.tasks import by, claim, comment, delegate, escalate, give_back, release, time_comes, under

from .breaches import Breach, History, before, by_another, cut_off, doubled, earlier, found, without

LAWS = (task_laws.held, time_laws.timely, task_laws.voted)


def claims() -> History:
    """Return a history with a renewed claim that lapsed, one that was given up, one that was overridden, and the decision."""
    story = under({"lease_seconds": 100}).given(by(ANN, claim())).later(50).given(by(ANN, comment()))
    story = story.given(time_comes(), time_comes(), by(BO, claim()), by(BO, release()), by(ANN, claim()))
    return story.given(by(ADAM, claim(override=True, reason="urgent")), by(ADAM, commands.approve())).history


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


def grouped() -> History:
    """Return a history in which a member of a group decided."""
    return under({"candidates": {"groups": ["legal"]}}).given(by(BO, commands.approve())).history


def stood_in() -> History:
    """Return a history in which a substitute decided in the place of an absent candidate."""
    for_ann = CY.changed({"on_behalf_of": ("ann",)})
    rules = {"candidates": {"users": ["ann", "bo"]}, "approvals_required": 2}
    return under(rules).given(by(for_ann, commands.approve()), by(BO, commands.approve())).history


def helped() -> History:
    """Return a history in which a person was asked for help, gave the task back, and its owner decided."""
    story = under({}).given(by(ANN, delegate("bo")), by(BO, give_back()), by(ANN, commands.approve()))
    return story.history


def paused() -> History:
    """Return a history that was held between two votes, over a claim that lapsed meanwhile."""
    story = under({"approvals_required": 2, "lease_seconds": 10}).given(by(BO, commands.approve()), by(ANN, claim()))
    story = story.given(by(BO, pause())).later(60).given(by(BO, resume()), time_comes(), time_comes())
    return story.given(by(ANN, commands.approve())).history


def asked_by_a_user() -> History:
    """Return a history without authentication, in which the actor of the start approves what it asked for on a user's behalf."""
    rules = ReviewRules(four_eyes=True)
    story = given(commands.start(review=rules, allowed_steps=("payload_review",)), commands.prepared())
    return story.given(commands.approve(actor="ann")).history


HISTORIES = (claims, votes, edited, escalated, grouped, stood_in, helped, paused, asked_by_a_user)


@pytest.mark.parametrize("history", HISTORIES)
def test_what_the_core_decides_breaks_none(history: Callable[[], History]) -> None:
    """The laws notice nothing but breaches."""
    assert [breach for law in LAWS for breach in law(history())] == []


def unexplained(history: History) -> History:
    """Claim over another's claim without a reason."""
    taken = found(history, e.TaskClaimed)[-1]
    changed = taken.model_copy(update={"data": taken.data.model_copy(update={"reason": None})})
    return [changed if record is taken else record for record in history]


def by_user(kind: type[e.Event]) -> Breach:
    """Let the user on whose behalf a run was asked for do it."""

    def breach(history: History) -> History:
        return [record.changed({"actor": "u1"}) if isinstance(record.data, kind) else record for record in history]

    return breach


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
    ("a vote counts twice", votes, doubled(e.VoteCast, 1), task_laws.voted),
    ("one person votes twice at a stage", votes, by_another(e.VoteCast, 2), task_laws.voted),
    ("a stage passes without its vote", votes, without(e.VoteCast), task_laws.voted),
    ("a decision has a vote too few", votes, without(e.VoteCast, 2), task_laws.voted),
    ("a person decides who was not asked", escalated, without(e.TaskEscalated), task_laws.voted),
    (
        "a person decides who is of no group that is asked",
        grouped,
        by_another(e.CheckpointApproved, 0, DI),
        task_laws.voted,
    ),
    (
        "a person decides in the place of one that is not absent",
        stood_in,
        by_another(e.VoteCast, 0, DI),
        task_laws.voted,
    ),
    ("a decision is made before the task is given back", helped, without(e.TaskReturned), task_laws.voted),
    ("a decision is made while the run is held", paused, without(e.RunResumed), task_laws.voted),
    ("a vote is lost by a pause", paused, without(e.VoteCast), task_laws.voted),
    ("a claim lapses while the run is held", paused, before(e.ClaimEnded, e.RunResumed), time_laws.timely),
    ("who asked approves, without authentication", asked_by_a_user, by_user(e.VoteCast), task_laws.voted),
]


@pytest.mark.parametrize(("history", "breach", "law"), [row[1:] for row in BREACHES], ids=[row[0] for row in BREACHES])
def test_each_law_of_tasks_notices_its_breach(history: Callable[[], History], breach: Breach, law: Any) -> None:
    """A law that cannot be broken proves nothing."""
    assert list(law(breach(history())))
