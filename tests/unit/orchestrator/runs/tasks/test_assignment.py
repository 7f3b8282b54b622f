"""Assignment says who should do it. It gives no right to decide and takes none away."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.runs import events as e
from contracts.runs.tasks.rules import MOST_NAMES
from testkit.runs.commands import approve
from testkit.runs.people import ADAM, ANN, BO, CY, DI
from testkit.runs.specification import Ask, Outcome, like
from testkit.runs.tasks import assign, by, claim, task_of, under

OPEN = under({"candidates": {"users": ["ann", "di"], "groups": ["legal"]}})
EVERYONE = under({})


def _path(outcome: Outcome) -> list[str]:
    return [issue["path"] for issue in outcome.refused_with("validation_failed").details["issues"]]


def test_who_is_assigned_should_do_it_and_answers_for_it() -> None:
    """It is not claimed: to assign is not to claim."""
    outcome = OPEN.when(by(ANN, assign("bo", reason="he knows it")))
    outcome.then(like(e.TaskAssigned, assignee="bo", reason="he knows it"))
    outcome.leaves(
        checkpoint__assignee="bo",
        checkpoint__task__assignee="bo",
        checkpoint__task__owner="bo",
        checkpoint__task__claimant=None,
        checkpoint__task__state="open",
        checkpoint__task__candidates=task_of(OPEN).candidates,
    )


def test_the_other_candidates_may_still_decide() -> None:
    """An assignment is advice."""
    OPEN.given(by(ANN, assign("bo"))).when(by(DI, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_who_is_assigned_and_no_candidate_may_work_at_it_but_not_decide() -> None:
    """Without an override an assignment widens nothing."""
    story = OPEN.given(by(ANN, assign("cy")))
    assert story.when(by(CY, claim())).refusal is None
    story.when(by(CY, approve())).refused_with("not_candidate")


def test_an_override_adds_the_person_to_the_candidates() -> None:
    """An administrator's, with a reason."""
    ask = assign("cy", override=True, reason="the others are ill")
    OPEN.when(by(ANN, ask)).refused_with("forbidden")
    assert _path(OPEN.when(by(ADAM, ask.but(reason=None)))) == ["/reason"]
    story = OPEN.given(by(ADAM, ask))
    assert task_of(story).candidates.users == ("ann", "di", "cy")
    assert task_of(story).candidates.groups == ("legal",)
    story.when(by(CY, approve())).then(e.CheckpointApproved, e.CallOrdered)
    story.when(by(ANN, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_where_every_reviewer_is_asked_an_override_narrows_nothing() -> None:
    """To name one person would take the right from all others."""
    story = EVERYONE.given(by(ADAM, assign("cy", override=True, reason="she knows it")))
    assert task_of(story).candidates.is_everyone


def test_an_administrator_without_an_override_widens_nothing_either() -> None:
    """The role alone is no word of it."""
    assert task_of(OPEN.given(by(ADAM, assign("cy")))).candidates == task_of(OPEN).candidates


def test_a_task_can_be_handed_to_a_group_that_is_asked() -> None:
    """Its members decide from then on. Who handed it over answers for it, and can take it back."""
    story = OPEN.given(by(ANN, assign(group="legal")))
    assert (task_of(story).assignee, task_of(story).owner) == (None, "ann")
    assert task_of(story.given(by(ANN, assign("bo")))).assignee == "bo"
    assert (task_of(story).candidates.users, task_of(story).candidates.groups) == ((), ("legal",))
    story.when(by(ANN, approve())).refused_with("not_candidate")
    story.when(by(BO, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_another_group_is_asked_only_by_an_override() -> None:
    """A candidate cannot hand the decision to a group that the rules do not ask."""
    OPEN.when(by(ANN, assign(group="leads"))).refused_with("not_candidate")
    OPEN.when(by(ADAM, assign(group="leads"))).refused_with("not_candidate")
    story = OPEN.given(by(ADAM, assign(group="leads", override=True, reason="legal is closed")))
    story.when(by(CY, approve())).then(e.CheckpointApproved, e.CallOrdered)


@pytest.mark.parametrize("to", [{}, {"user": "bo", "group": "legal"}], ids=["to none", "to both"])
def test_a_task_is_assigned_to_one_person_or_one_group(to: dict[str, Any]) -> None:
    """The refusal names the field."""
    assert _path(OPEN.when(by(ANN, assign(**to)))) == ["/to"]


def test_who_is_not_asked_assigns_nothing() -> None:
    """An assignee may hand it on, though."""
    OPEN.when(by(CY, assign("cy"))).refused_with("not_candidate")
    OPEN.given(by(ANN, assign("cy"))).when(by(CY, assign("bo"))).then(e.TaskAssigned)


def test_an_assignment_ends_the_claim_of_another() -> None:
    """The holder hands it on and holds it no longer; a claim of the assignee goes on."""
    claimed = OPEN.given(by(ANN, claim()))
    claimed.when(by(ANN, assign("bo"))).leaves(checkpoint__task__claimant=None, checkpoint__task__state="open")
    claimed.when(by(ANN, assign("ann"))).leaves(checkpoint__task__claimant="ann", checkpoint__task__state="claimed")
    claimed.when(by(ADAM, assign("bo", override=True, reason="urgent"))).leaves(checkpoint__task__claimant=None)


def test_a_person_who_cannot_be_added_is_named() -> None:
    """A rule names a hundred persons at most, and so does an override."""
    names = [f"p{number}" for number in range(MOST_NAMES)]
    story = under({"candidates": {"users": names}})
    assert _path(story.when(by(ADAM, assign("cy", override=True, reason="all are ill")))) == ["/to/user"]
    story.when(by(ADAM, assign("p1", override=True, reason="hers"))).then(e.TaskAssigned)


@pytest.mark.parametrize("ask", [assign("bo"), claim()], ids=["assign", "claim"])
def test_each_change_of_who_does_it_begins_an_epoch(ask: Ask) -> None:
    """A time that was set before it does nothing."""
    assert task_of(OPEN.given(by(ANN, ask))).epoch == task_of(OPEN).epoch + 1
