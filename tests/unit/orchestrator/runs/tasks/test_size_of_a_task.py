"""The view of a task stays small: each set of candidates stands in it once, however many stages and votes refer to it."""

from __future__ import annotations

from typing import Any

from contracts.runs.tasks.rules import MOST_RULES_BYTES
from testkit.runs.commands import approve, edit
from testkit.runs.people import ADAM, BO, CY, principal
from testkit.runs.tasks import assign, by, escalate, task_of, under

MEMBERS = [principal(f"m{number}", *BO.roles, groups=("legal",)) for number in range(24)]
NAMES = [f"{number}-".ljust(140, "\U0001f600") for number in range(50)]
MANY: dict[str, Any] = {"users": NAMES, "groups": ["legal", *NAMES]}


def test_neither_stages_nor_votes_multiply_the_rules() -> None:
    """Ten stages, 24 votes and another group: the view is a few times as large as its rules, and no more."""
    stages = [{"name": str(number), "approvals_required": 100} for number in range(10)]
    story = under({"candidates": MANY, "stages": stages})
    voted = story.given(*[by(member, approve()) for member in MEMBERS]).given(by(ADAM, assign(group="legal")))
    view = voted.now.view
    assert len(view.model_dump_json().encode()) < 3 * MOST_RULES_BYTES
    assert [stage.candidates for stage in task_of(story).stages] == [None] * 10
    assert task_of(story).candidates.users == tuple(NAMES)


def test_a_vote_refers_to_who_was_asked_when_it_was_cast() -> None:
    """Votes of one time refer to one set; a set that comes again is not kept again."""
    story = under({"candidates": {"groups": ["legal"]}, "approvals_required": 9, "escalate_to": {"groups": ["leads"]}})
    legal, leads = task_of(story).candidates, task_of(story).escalate_to
    moved = story.given(by(BO, approve()), by(MEMBERS[0], approve()), by(ADAM, escalate()), by(CY, approve()))
    back = moved.given(by(ADAM, escalate(to=legal)), by(MEMBERS[1], approve()), by(ADAM, escalate()))
    task = task_of(back)
    assert task.formerly == (legal, leads)
    assert [task.asked_for(vote) for vote in task.votes] == [legal, legal, leads, legal]


def test_an_edit_and_the_next_stage_need_no_former_candidates() -> None:
    """No vote of before stands at the present stage; nor does the decision keep them."""
    stages = [{"name": "a", "approvals_required": 2}, {"name": "b"}]
    story = under({"candidates": {"groups": ["legal"]}, "stages": stages, "escalate_to": {"groups": ["leads"]}})
    moved = story.given(by(BO, approve()), by(ADAM, escalate()))
    assert len(task_of(moved).formerly) == 1
    for ask in (approve(), edit({"temperature": 1})):
        task = task_of(moved.given(by(CY, ask)))
        assert task.formerly == ()
        assert {vote.asked for vote in task.votes} == {None}
    plain = under({"candidates": {"groups": ["legal"]}, "approvals_required": 2, "escalate_to": {"groups": ["leads"]}})
    decided = plain.given(by(BO, approve()), by(ADAM, escalate()), by(CY, approve())).now.view.last_approval
    assert decided is not None
    assert [vote.asked for vote in decided.votes] == [None, None]


def test_a_stage_without_candidates_gets_those_of_the_rules_whenever_it_comes() -> None:
    """Also after others were asked at the stage before."""
    stages = [{"name": "a"}, {"name": "b"}]
    story = under({"candidates": {"groups": ["legal"]}, "stages": stages, "escalate_to": {"groups": ["leads"]}})
    task = task_of(story.given(by(ADAM, escalate()), by(CY, approve())))
    assert (task.stage, task.candidates.groups) == ("b", ("legal",))
