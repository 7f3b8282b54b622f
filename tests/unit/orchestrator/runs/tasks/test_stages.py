"""Stages come in their order. Each has its own candidates and count; an edit leads back to the first."""

from __future__ import annotations

from contracts.runs import events as e
from contracts.runs.tasks.rules import Candidates
from testkit.runs.commands import approve, edit, reject
from testkit.runs.people import ADAM, ANN, BO, CY, DI, principal
from testkit.runs.specification import like
from testkit.runs.tasks import assign, by, claim, task_of, under

STAGES = [
    {"name": "legal", "candidates": {"groups": ["legal"]}, "approvals_required": 2},
    {"name": "lead", "candidates": {"users": ["cy", "bo"]}},
]
RULES = {"candidates": {"users": ["di"]}, "stages": STAGES}
FIRST = under(RULES)
ED = principal("ed", *BO.roles, groups=("legal",))
SECOND = FIRST.given(by(BO, approve()), by(ED, approve()))


def test_the_first_stage_is_asked_first() -> None:
    """Its candidates and its count are the task's."""
    task = task_of(FIRST)
    assert (task.stage, task.candidates.groups, task.approvals_required) == ("legal", ("legal",), 2)
    assert [stage.name for stage in task.stages] == ["legal", "lead"]
    FIRST.when(by(CY, approve())).refused_with("not_candidate")
    FIRST.when(by(DI, approve())).refused_with("not_candidate")


def test_a_stage_that_has_its_approvals_gives_way_to_the_next() -> None:
    """The run waits on; votes of the earlier stage are kept, and counted no more."""
    outcome = FIRST.given(by(BO, approve())).when(by(ED, approve()))
    outcome.then(e.VoteCast, like(e.StageApproved, stage="legal", following="lead"))
    outcome.leaves(
        state="payload_review",
        checkpoint__task__stage="lead",
        checkpoint__task__candidates=Candidates(users=("cy", "bo")),
        checkpoint__approvals_required=1,
        checkpoint__approvals=(),
        checkpoint__task__votes__stage=("legal", "legal"),
    )


def test_the_last_stage_decides() -> None:
    """With the votes of all."""
    outcome = SECOND.when(by(CY, approve()))
    outcome.then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    outcome.leaves(last_approval__votes__by=("bo", "ed", "cy"), last_approval__votes__stage=("legal", "legal", "lead"))


def test_who_is_asked_at_two_stages_approves_both() -> None:
    """Unless four eyes are asked for."""
    SECOND.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_an_administrator_is_a_candidate_of_every_stage() -> None:
    """With one vote in each."""
    story = FIRST.given(by(ADAM, approve()))
    story.when(by(ADAM, approve())).refused_with("already_voted")
    story.given(by(BO, approve())).when(by(ADAM, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_a_rejection_ends_it_at_any_stage() -> None:
    """By veto."""
    for story, person in ((FIRST, BO), (SECOND, CY)):
        story.when(by(person, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


def test_a_new_stage_has_no_assignee_and_no_holder() -> None:
    """Who should do the stage before cannot hold this one."""
    story = FIRST.given(by(BO, assign("ann")), by(BO, approve()), by(ED, approve()))
    task = task_of(story)
    assert (task.assignee, task.owner, task.claimant, task.delegation) == (None, None, None, None)
    story.when(by(ANN, claim())).refused_with("not_candidate")


def test_a_stage_without_candidates_has_those_of_the_rules() -> None:
    """Its count is one unless it says otherwise."""
    story = under({"candidates": {"users": ["ann"]}, "stages": [{"name": "only"}]})
    story.when(by(BO, approve())).refused_with("not_candidate")
    story.when(by(ANN, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_an_edit_at_a_later_stage_leads_back_to_the_first() -> None:
    """All votes are void, and the editor's own counts only where it was for the editor to approve."""
    outcome = SECOND.when(by(CY, edit({"temperature": 1})))
    outcome.then(e.SubjectRevised, like(e.VoteCast, action="edit", counts=False))
    outcome.leaves(
        checkpoint__task__stage="legal",
        checkpoint__task__candidates=Candidates(groups=("legal",)),
        checkpoint__task__votes__counts=(False, False, False),
        checkpoint__approvals=(),
    )
    back = outcome.story.given(by(BO, approve()), by(ED, approve()))
    final = back.when(by(CY, approve()))
    final.then(e.VoteCast, like(e.CheckpointEdited, edits={"temperature": 1}), e.CheckOrdered)


def test_an_edit_that_leads_back_hands_the_task_back_too() -> None:
    """The assignee of a later stage does not hold the first."""
    story = SECOND.given(by(CY, assign("ann")), by(CY, edit({"temperature": 1})))
    assert (task_of(story).assignee, task_of(story).owner) == (None, None)
    story.when(by(ANN, claim())).refused_with("not_candidate")


def test_an_edit_at_the_first_stage_counts_there() -> None:
    """The editor approves what the editor wrote; with a count of one the next stage is asked."""
    story = under({"stages": [{"name": "a", "candidates": {"users": ["ann"]}}, {"name": "b"}]})
    outcome = story.when(by(ANN, edit({"temperature": 1})))
    outcome.then(e.SubjectRevised, like(e.VoteCast, counts=True), e.StageApproved)
    outcome.leaves(checkpoint__task__stage="b")


def test_an_edit_at_a_single_stage_that_asks_for_one_decides() -> None:
    """No other must approve it."""
    story = under({"stages": [{"name": "a", "candidates": {"users": ["ann"]}}]})
    story.when(by(ANN, edit({"temperature": 1}))).then(
        e.SubjectRevised, e.VoteCast, like(e.CheckpointEdited, edits={"temperature": 1}), e.CheckOrdered
    )
