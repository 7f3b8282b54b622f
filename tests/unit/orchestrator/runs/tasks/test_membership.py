"""Votes of persons who have left: kept, and not counted, whenever a vote comes in after they left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contracts.identity import Principal, Role
from contracts.runs import events as e
from orchestrator.runs import decide
from orchestrator.runs.tasks.membership import Membership, Person, voters
from testkit.runs.commands import approve, edit, reject
from testkit.runs.people import ADAM, ANN, BO, CY, DI, principal
from testkit.runs.specification import Ask, Story
from testkit.runs.tasks import by, claim, escalate, task_of, under

LARA = principal("lara", Role.REVIEWER, groups=("legal",))
STAYS = Membership(frozenset({"reviewer"}), frozenset({"legal"}))
MOVED = Membership(frozenset({"reviewer"}), frozenset({"sales"}))
GONE = Membership(frozenset(), frozenset())


def known(**persons: Membership) -> dict[Any, Any]:
    """Return what the edge knows of these persons."""
    return {Person("default", name): member for name, member in persons.items()}


def events(story: Story, who: Principal, ask: Ask, facts: dict[Any, Any]) -> list[e.Event]:
    """Return the events of a command that is decided with what is known."""
    command = by(who, ask).to(story)
    return [record.data for record in decide(command, story.run, facts)]


def voted(**rules: Any) -> Story:
    """Return a run that needs two of the group legal, and on which bo has voted."""
    return under({"candidates": {"groups": ["legal"]}, "approvals_required": 2, **rules}).given(by(BO, approve()))


def test_a_vote_stands_while_its_person_is_a_member() -> None:
    """Of whom nothing is known, too."""
    for facts in ({}, known(bo=STAYS), known(zoe=GONE)):
        kinds = [event.kind for event in events(voted(), LARA, approve(), facts)]
        assert kinds[:2] == ["vote-cast.v1", "checkpoint-approved.v1"]


def test_a_vote_of_who_has_left_is_kept_and_not_counted() -> None:
    """Whether the person left the group, the role or the house."""
    for member in (MOVED, GONE, Membership(frozenset({"auditor"}), frozenset({"legal"}))):
        story = voted()
        (vote,) = events(story, LARA, approve(), known(bo=member))
        assert isinstance(vote, e.VoteCast)
        assert vote.left == ("bo",)


def test_the_task_says_whose_vote_counts_no_more() -> None:
    """Folded from the vote that found it; another person then completes the count."""
    story = replace(voted(), known=known(bo=GONE)).given(by(LARA, approve()))
    assert [(vote.by, vote.counts) for vote in task_of(story).votes] == [("bo", False), ("lara", True)]
    decided = story.when(by(ADAM, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    assert len(decided.story.now.view.last_approval.votes) == 3  # type: ignore[union-attr] # it was decided


def test_who_was_asked_before_an_escalation_has_not_left_by_it() -> None:
    """The vote stands as long as the person is what it was when it voted."""
    for candidates, stays in (({"groups": ["legal"]}, STAYS), ({"users": ["bo"], "groups": ["leads"]}, MOVED)):
        rules = {"candidates": candidates, "escalate_to": {"users": ["cy", "ann"]}}
        story = voted(**rules).given(by(ADAM, escalate()))
        assert len(events(story, CY, approve(), known(bo=stays))) > 1
        assert len(events(story, CY, approve(), known(bo=GONE))) == 1
    story = voted(escalate_to={"users": ["cy", "ann"]}).given(by(ADAM, escalate()))
    assert len(events(story, CY, approve(), known(bo=MOVED))) == 1


STAGED: dict[str, Any] = {"stages": [{"name": "a"}, {"name": "b", "approvals_required": 2}], "four_eyes": True}


def test_votes_of_an_earlier_stage_stand_although_their_person_has_left() -> None:
    """A person whose vote at the present stage falls away keeps the one by which the stage before was passed."""
    story = under({**STAGED, "four_eyes": False}).given(by(ANN, approve()), by(ANN, approve()))
    left = replace(story, known=known(ann=GONE)).given(by(BO, approve()))
    assert [(vote.by, vote.stage, vote.counts) for vote in task_of(left).votes] == [
        ("ann", "a", True),
        ("ann", "b", False),
        ("bo", "b", True),
    ]


def test_four_eyes_remember_who_approved_an_earlier_stage_whether_it_counts_or_not() -> None:
    """Who left, so that another passed the stage, and came back approves no later one of the same bytes."""
    rules = {**STAGED, "stages": [{"name": "a", "approvals_required": 2}, {"name": "b"}]}
    story = under(rules).given(by(ANN, approve()))
    passed = replace(story, known=known(ann=GONE)).given(by(BO, approve()), by(CY, approve()))
    assert [(vote.by, vote.counts) for vote in task_of(passed).votes] == [("ann", False), ("bo", True), ("cy", True)]
    passed.when(by(ANN, approve())).refused_with("four_eyes")
    edited = passed.given(by(DI, edit({"temperature": 1})), by(BO, approve()), by(CY, approve()))
    assert edited.when(by(ANN, approve())).refusal is None, "those were other bytes"


def test_an_administrator_stays_a_voter_without_a_group() -> None:
    """It was a candidate by its role."""
    story = under({"candidates": {"groups": ["legal"]}, "approvals_required": 2}).given(by(ADAM, approve()))
    facts = known(adam=Membership(frozenset({"admin"}), frozenset()))
    assert len(events(story, BO, approve(), facts)) > 1


def test_a_named_person_needs_no_group() -> None:
    """Its role is asked for all the same."""
    rules = {"candidates": {"users": ["ann", "bo"]}, "approvals_required": 2}
    story = under(rules).given(by(ANN, approve()))
    assert len(events(story, BO, approve(), known(ann=MOVED))) > 1
    assert len(events(story, BO, approve(), known(ann=GONE))) == 1


def test_a_rejection_of_who_has_left_outvotes_no_other() -> None:
    """Where a majority rejects."""
    story = under({"approvals_required": 2, "on_reject": "majority"}).given(by(ANN, reject()))
    assert [event.kind for event in events(story, DI, reject(), known(ann=GONE))] == ["vote-cast.v1"]
    assert len(events(story, DI, reject(), known(ann=STAYS))) > 1


def test_an_edit_begins_anew_although_a_voter_has_left() -> None:
    """Its votes are set back all the same."""
    kinds = [event.kind for event in events(voted(), LARA, edit({"temperature": 1}), known(bo=GONE))]
    assert kinds == ["subject-revised.v1", "vote-cast.v1"]


def test_only_what_votes_is_inquired_about() -> None:
    """And of a run without votes, nothing: it costs no query."""
    story = voted()
    assert list(voters(by(LARA, approve()).to(story), story.run)) == [Person("default", "bo")]
    assert list(voters(by(LARA, claim()).to(story), story.run)) == []
    assert list(voters(approve().to(story), story.run)) == []
    fresh = under({})
    assert list(voters(by(CY, approve()).to(fresh), fresh.run)) == []
