"""Who delegates asks another for help and gets the task back. No person decides meanwhile."""

from __future__ import annotations

import pytest

from contracts.runs import events as e
from testkit.runs.commands import approve, edit, reject
from testkit.runs.people import ADAM, ANN, BO, CY, DI
from testkit.runs.specification import Ask, like
from testkit.runs.tasks import (
    assign,
    by,
    claim,
    comment,
    delegate,
    escalate,
    give_back,
    release,
    task_of,
    time_comes,
    under,
)

RULES = {"candidates": {"users": ["ann", "di"]}, "escalate_to": {"groups": ["leads"]}}
OPEN = under(RULES)
ASKED = OPEN.given(by(ANN, delegate("bo", reason="you know this")))
RETURNED = ASKED.given(by(BO, give_back()))


def test_the_delegate_should_do_it_and_the_owner_answers_for_it() -> None:
    """The delegate gets no right to decide."""
    outcome = OPEN.when(by(ANN, delegate("bo", reason="you know this")))
    outcome.then(like(e.TaskDelegated, delegate="bo", owner="ann", reason="you know this"))
    outcome.leaves(
        checkpoint__task__assignee="bo",
        checkpoint__task__owner="ann",
        checkpoint__task__delegation="asked",
        checkpoint__task__candidates=task_of(OPEN).candidates,
    )


@pytest.mark.parametrize("ask", [approve(), reject(), edit({"temperature": 1})], ids=["approve", "reject", "edit"])
def test_no_person_decides_while_another_is_asked(ask: Ask) -> None:
    """Neither the owner nor another candidate; the refusal says whose answer is awaited, and is remembered."""
    for person in (ANN, DI, ADAM):
        outcome = ASKED.when(by(person, ask)).refused_with("delegated", assignee="bo", owner="ann")
        assert outcome.refusal is not None
        assert outcome.refusal.remembered
    ASKED.when(by(BO, ask)).refused_with("not_candidate")


def test_what_another_is_to_do_is_not_given_away() -> None:
    """Its assignee delegates it, or the owner, or an administrator with a reason."""
    story = under({}).given(by(ANN, assign("bo")))
    refused = story.when(by(CY, delegate("di"))).refused_with("not_allowed")
    assert refused.refusal is not None
    assert "bo is to do it" in refused.refusal.message
    story.when(by(BO, delegate("di"))).then(e.TaskDelegated)
    story.when(by(ADAM, delegate("di", override=True, reason="bo is on a plane"))).then(e.TaskDelegated)


def test_the_delegate_alone_claims_it() -> None:
    """The owner waits for the answer, or takes it back."""
    ASKED.when(by(BO, claim())).then(e.TaskClaimed)
    ASKED.when(by(ANN, claim())).refused_with("delegated")
    ASKED.when(by(DI, claim())).refused_with("delegated")


def test_a_delegated_task_goes_back_to_its_owner() -> None:
    """With what the delegate has to say; then it is decided."""
    outcome = ASKED.when(by(BO, give_back(comment="it is fine")))
    outcome.then(
        like(e.CommentAdded, checkpoint_id=OPEN.checkpoint_id, text="it is fine"), like(e.TaskReturned, owner="ann")
    )
    outcome.leaves(
        checkpoint__task__assignee="ann",
        checkpoint__task__owner="ann",
        checkpoint__task__delegation="returned",
        checkpoint__task__comments=1,
    )
    outcome.story.when(by(ANN, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_the_owner_can_take_it_back() -> None:
    """So can an administrator, by an override; no other candidate can."""
    ASKED.when(by(ANN, give_back())).then(e.TaskReturned)
    ASKED.when(by(ADAM, give_back(override=True, reason="bo is ill"))).then(e.TaskReturned)
    ASKED.when(by(DI, give_back())).refused_with("delegated")


def test_only_a_delegated_task_is_given_back() -> None:
    """Once; there is nothing to return then."""
    OPEN.when(by(ANN, give_back())).refused_with("not_allowed")
    RETURNED.when(by(BO, give_back())).refused_with("not_candidate")
    RETURNED.when(by(ANN, give_back())).refused_with("not_allowed")


def test_no_person_asks_itself_and_delegations_make_no_circle() -> None:
    """The delegate cannot ask a third, nor the owner: the owner alone asks another."""
    refused = OPEN.when(by(ANN, delegate("ann"))).refused_with("validation_failed")
    assert [issue["path"] for issue in refused.details["issues"]] == ["/to/user"]
    ASKED.when(by(BO, delegate("ann"))).refused_with("delegated")
    ASKED.when(by(BO, delegate("cy"))).refused_with("delegated")
    ASKED.when(by(ANN, delegate("cy"))).then(like(e.TaskDelegated, delegate="cy", owner="ann"))


def test_a_claim_that_ends_keeps_the_owner() -> None:
    """Released or expired, the task is still the owner's and still with the delegate."""
    held = ASKED.given(by(BO, claim()))
    for story in (held.given(by(BO, release())), held.given(time_comes(), time_comes())):
        task = task_of(story)
        assert (task.claimant, task.assignee, task.owner, task.delegation) == (None, "bo", "ann", "asked")
        story.when(by(BO, give_back())).then(e.TaskReturned)


def test_to_give_it_back_ends_the_delegates_claim() -> None:
    """The owner finds it open."""
    story = ASKED.given(by(BO, claim()), by(BO, give_back()))
    assert task_of(story).claimant is None


def test_hand_over_is_another_thing() -> None:
    """An assignment by the owner ends the delegation; the new assignee answers for it."""
    ASKED.when(by(DI, assign("di"))).refused_with("delegated")
    story = ASKED.given(by(ANN, assign("di")))
    assert (task_of(story).owner, task_of(story).delegation) == ("di", None)
    story.when(by(DI, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_a_vote_after_the_return_ends_the_delegation() -> None:
    """What was asked is answered."""
    story = under({**RULES, "approvals_required": 2}).given(by(ANN, delegate("bo")), by(BO, give_back()))
    assert task_of(story.given(by(ANN, approve()))).delegation is None


def test_an_escalation_ends_a_delegation() -> None:
    """Who was asked and who answered for it before hold it no longer."""
    story = ASKED.given(by(ANN, escalate()))
    task = task_of(story)
    assert (task.assignee, task.owner, task.delegation) == (None, None, None)
    for person in (ANN, BO):
        story.when(by(person, claim())).refused_with("not_candidate")
    story.when(by(CY, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_the_delegate_may_comment() -> None:
    """Help is mostly a comment."""
    ASKED.when(by(BO, comment("look at line 3"))).then(e.CommentAdded)
    OPEN.when(by(BO, comment("look at line 3"))).refused_with("not_candidate")
