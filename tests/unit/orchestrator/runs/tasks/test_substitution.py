"""A substitute acts for an absent person: in the person's place, with one vote, and as who it is."""

from __future__ import annotations

from contracts.identity import Principal
from contracts.runs import events as e
from testkit.runs.commands import approve, edit, reject
from testkit.runs.people import ADAM, ANN, BO, CY, DI
from testkit.runs.specification import like
from testkit.runs.tasks import assign, by, claim, delegate, give_back, task_of, under


def _for(person: Principal, *absent: str) -> Principal:
    return person.model_copy(update={"on_behalf_of": absent})


TWO = under({"candidates": {"users": ["ann", "bo"]}, "approvals_required": 2})
CY_FOR_ANN = _for(CY, "ann")


def test_a_substitute_of_a_candidate_decides() -> None:
    """The decision is the substitute's own, and says for whom."""
    story = under({"candidates": {"users": ["ann"]}})
    story.when(by(CY, approve())).refused_with("not_candidate")
    outcome = story.when(by(CY_FOR_ANN, approve()))
    outcome.then(e.CheckpointApproved, e.CallOrdered)
    outcome.leaves(last_approval__actor="cy", last_approval__on_behalf_of="ann")


def test_a_vote_says_for_whom_it_was() -> None:
    """By the substitute, on behalf of the candidate."""
    outcome = TWO.when(by(CY_FOR_ANN, approve())).then(like(e.VoteCast, on_behalf_of="ann"))
    vote = task_of(outcome.story).votes[0]
    assert (vote.by, vote.on_behalf_of) == ("cy", "ann")
    outcome.story.when(by(BO, approve())).leaves(last_approval__on_behalf_of=None, last_approval__actor="bo")


def test_for_one_candidate_there_is_one_vote() -> None:
    """The person's own or the substitute's: else one candidate and a substitute were two of two."""
    TWO.given(by(CY_FOR_ANN, approve())).when(by(ANN, approve())).refused_with("already_voted")
    TWO.given(by(ANN, approve())).when(by(CY_FOR_ANN, approve())).refused_with("already_voted")
    TWO.given(by(CY_FOR_ANN, approve())).when(by(_for(DI, "ann"), approve())).refused_with("already_voted")


def test_a_substitute_for_two_votes_once() -> None:
    """Persons are counted; the vote is for the first of them who was not heard yet."""
    both = _for(CY, "ann", "bo")
    story = TWO.given(by(both, approve()))
    story.when(by(both, approve())).refused_with("already_voted")
    after = TWO.given(by(ANN, approve())).when(by(both, approve()))
    after.then(like(e.VoteCast, on_behalf_of="bo"), e.CheckpointApproved, e.CallOrdered)
    after.leaves(last_approval__on_behalf_of="bo")


def test_a_candidate_who_stands_in_for_another_votes_for_itself() -> None:
    """One person is one vote."""
    story = TWO.given(by(_for(BO, "ann"), approve()))
    assert [(vote.by, vote.on_behalf_of) for vote in task_of(story).votes] == [("bo", None)]
    story.when(by(_for(BO, "ann"), approve())).refused_with("already_voted")
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_after_an_edit_all_are_heard_anew() -> None:
    """Whichever of the two speaks then."""
    story = TWO.given(by(CY_FOR_ANN, approve()), by(BO, edit({"temperature": 1})))
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)
    story.when(by(CY_FOR_ANN, approve())).then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)
    edited = TWO.given(by(ANN, approve())).when(by(CY_FOR_ANN, edit({"temperature": 1})))
    edited.then(e.SubjectRevised, like(e.VoteCast, on_behalf_of="ann"))


def test_an_absent_member_of_a_group_has_no_substitute() -> None:
    """The group's other members are asked, as if none were absent."""
    story = under({"candidates": {"groups": ["legal"]}})
    story.when(by(_for(CY, "bo"), approve())).refused_with("not_candidate")


def test_an_administrator_who_stands_in_votes_for_the_absent() -> None:
    """And for itself, as every administrator may, once that person was heard."""
    adam = _for(ADAM, "ann")
    TWO.when(by(adam, approve())).then(like(e.VoteCast, on_behalf_of="ann"))
    TWO.given(by(ANN, approve())).when(by(adam, approve())).then(
        like(e.VoteCast, on_behalf_of=None), e.CheckpointApproved, e.CallOrdered
    )


def test_a_substitute_claims_as_itself() -> None:
    """It is the person who does it."""
    story = TWO.given(by(CY_FOR_ANN, claim()))
    assert task_of(story).claimant == "cy"
    story.when(by(BO, approve())).refused_with("claimed_by_other", holder="cy")
    story.when(by(ANN, approve())).refused_with("claimed_by_other", holder="cy")


def test_a_substitute_of_an_assignee_works_at_the_task_and_does_not_decide() -> None:
    """It has what the absent person has: an assignee who is no candidate has no vote to give."""
    story = TWO.given(by(ANN, assign("di")))
    substitute = _for(CY, "di")
    story.when(by(substitute, claim())).then(e.TaskClaimed)
    story.when(by(substitute, approve())).refused_with("not_candidate")


def test_a_substitute_of_a_delegate_answers_and_one_of_the_owner_takes_it_back() -> None:
    """Absence holds no task."""
    asked = TWO.given(by(ANN, delegate("di")))
    delegate_substitute, owner_substitute = _for(CY, "di"), CY_FOR_ANN
    asked.when(by(delegate_substitute, claim())).then(e.TaskClaimed)
    asked.when(by(delegate_substitute, give_back())).then(e.TaskReturned)
    asked.when(by(owner_substitute, give_back())).then(e.TaskReturned)
    asked.when(by(owner_substitute, delegate("bo"))).then(like(e.TaskDelegated, delegate="bo", owner="cy"))
    asked.when(by(BO, give_back())).refused_with("delegated")


def test_a_substitute_may_reject_for_the_absent() -> None:
    """A veto is a vote."""
    outcome = TWO.when(by(CY_FOR_ANN, reject()))
    outcome.then(like(e.VoteCast, on_behalf_of="ann"), e.CheckpointRejected, e.RunCancelled)
    outcome.leaves(last_approval__on_behalf_of="ann")
