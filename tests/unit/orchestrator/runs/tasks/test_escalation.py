"""An escalation asks others in place of those before. Who held the task holds it no longer."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.runs import events as e
from contracts.runs.tasks.rules import Candidates
from testkit.runs.commands import approve, edit, reject, time_is_up
from testkit.runs.people import ADAM, ANN, BO, CY
from testkit.runs.specification import Story, like
from testkit.runs.tasks import assign, by, claim, escalate, task_of, time_comes, under

LEADS = Candidates(groups=("leads",))
RULES: dict[str, Any] = {
    "candidates": {"users": ["ann", "bo"]},
    "escalate_after_seconds": 300,
    "escalate_to": {"groups": ["leads"]},
}
OPEN = under(RULES)


def _is_with_the_leads(story: Story) -> None:
    task = task_of(story)
    assert (task.candidates, task.escalated, task.epoch) == (LEADS, 1, task_of(OPEN).epoch + 1)
    assert (task.assignee, task.owner, task.claimant, task.lease_until, task.state) == (None, None, None, None, "open")
    story.when(by(ANN, approve())).refused_with("not_candidate")
    story.when(by(CY, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_the_clock_escalates_once() -> None:
    """When no decision came in time."""
    outcome = OPEN.when(time_comes())
    outcome.then(like(e.TaskEscalated, candidates=LEADS, reason=None))
    _is_with_the_leads(outcome.story)
    outcome.story.when(time_is_up()).then(e.CheckpointExpired, e.RunFailed)


def test_a_person_who_is_asked_escalates_sooner() -> None:
    """The clock then has nothing to escalate."""
    outcome = OPEN.when(by(ANN, escalate(reason="it is beyond me")))
    outcome.then(like(e.TaskEscalated, candidates=LEADS, reason="it is beyond me"))
    _is_with_the_leads(outcome.story)
    outcome.story.when(time_is_up()).then(e.CheckpointExpired, e.RunFailed)
    OPEN.when(by(CY, escalate())).refused_with("not_candidate")


def test_an_escalation_resets_holder_and_assignee() -> None:
    """A former holder and a former assignee cannot hold it against those who are asked now."""
    held = under({**RULES, "escalate_after_seconds": 5}).given(by(ANN, assign("bo")), by(BO, claim()))
    story = held.given(time_comes())
    task = task_of(story)
    assert (task.assignee, task.owner, task.claimant) == (None, None, None)
    story.when(by(BO, claim())).refused_with("not_candidate")
    story.when(by(CY, claim())).then(e.TaskClaimed)


def test_an_administrator_alone_names_others_than_the_rules() -> None:
    """The others' escalation goes where the rules say."""
    ask = escalate(to=Candidates(users=("zoe",)))
    OPEN.when(by(ANN, ask)).refused_with("not_candidate")
    OPEN.when(by(ADAM, ask)).then(like(e.TaskEscalated, candidates=Candidates(users=("zoe",))))
    OPEN.when(by(ANN, escalate(to=LEADS))).then(e.TaskEscalated)


def test_others_are_asked_only_if_they_can_give_what_is_missing() -> None:
    """An approval that stands counts among them, also that of a person who is asked no more."""
    story = under({"candidates": {"groups": ["legal"]}, "approvals_required": 2})
    alone = escalate(to=Candidates(users=("lea",)))
    refused = story.when(by(ADAM, alone)).refused_with("validation_failed")
    assert refused.refusal is not None
    assert refused.refusal.details["issues"][0]["path"] == "/to"
    story.when(by(ADAM, escalate(to=Candidates(users=("lea", "di"))))).then(e.TaskEscalated)
    story.given(by(BO, approve())).when(by(ADAM, alone)).then(e.TaskEscalated)


@pytest.mark.parametrize(
    ("rules", "to"), [({}, None), ({}, Candidates()), (RULES, Candidates())], ids=["no rule", "empty", "emptied"]
)
def test_there_is_no_escalation_to_no_one(rules: dict[str, Any], to: Candidates | None) -> None:
    """Nor to every reviewer by leaving the names out; the refusal names the field."""
    outcome = under(rules).when(by(ADAM, escalate(to=to))).refused_with("validation_failed")
    assert [issue["path"] for issue in outcome.details["issues"]] == ["/to"]


def test_a_time_limit_that_escalates_asks_those_of_the_rules() -> None:
    """It is the same escalation, by the checkpoint's own limit; a later time of the rules is then over."""
    story = under({**RULES, "escalate_after_seconds": 90_000}, on_timeout="escalate", timeout_seconds=60)
    outcome = story.when(time_is_up())
    outcome.then(e.CheckpointEscalated)
    _is_with_the_leads(outcome.story)
    outcome.story.when(time_is_up()).then(e.CheckpointExpired, e.RunFailed)


def test_without_others_the_same_are_asked_anew() -> None:
    """The claim and the assignment are over."""
    story = under({"candidates": {"users": ["ann", "bo"]}, "escalate_after_seconds": 300}).given(by(ANN, claim()))
    escalated = story.given(time_comes())
    assert task_of(escalated).candidates == Candidates(users=("ann", "bo"))
    assert task_of(escalated).claimant is None


def test_votes_that_were_cast_before_stand() -> None:
    """Who approved while being asked has approved."""
    story = under({**RULES, "approvals_required": 2}).given(by(ANN, approve()), time_comes())
    story.when(by(CY, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_those_who_are_asked_then_can_outvote_an_earlier_rejection() -> None:
    """Its weight was measured by those who were asked when it was cast."""
    rules = {"approvals_required": 2, "on_reject": "majority", "escalate_to": {"users": ["ann", "bo"]}}
    story = under({**rules, "escalate_after_seconds": 300}).given(by(CY, reject()), time_comes(), by(ANN, approve()))
    story.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_who_is_asked_at_a_stage_stays_asked_when_an_edit_begins_it_anew() -> None:
    """Else the first candidates, who did not come, would be asked again."""
    rules = {"stages": [{"name": "legal", "candidates": {"users": ["ann"]}}, {"name": "lead"}]}
    story = under({**rules, "escalate_after_seconds": 300, "escalate_to": {"groups": ["leads"]}})
    second = story.given(time_comes(), by(CY, approve()))
    assert task_of(second).stage == "lead"
    back = second.given(by(BO, edit({"temperature": 1})))
    assert (task_of(back).stage, task_of(back).candidates) == ("legal", LEADS)
    back.when(by(ANN, approve())).refused_with("not_candidate")
    back.when(by(CY, approve())).then(e.VoteCast, e.StageApproved)
