"""An edit where several must agree: the count begins anew, and what is sent is what all of them approved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from contracts.json_values import digest
from contracts.providers.orders import CheckOrder, ExecuteOrder
from contracts.runs import events as e
from orchestrator.runs.checkpoints.json_patch import diff, merge_patch, patch_between
from orchestrator.runs.state import MOST_EVENTS
from testkit.messages import strategies
from testkit.runs.commands import PAYLOAD, approve, at_length, checked, edit, executed, prepared, reject, start
from testkit.runs.people import ANN, BO, CY
from testkit.runs.specification import Story, given, like
from testkit.runs.tasks import by, task_of, under

RULES = {"candidates": {"users": ["ann", "bo", "cy"]}, "approvals_required": 2}
OPEN = under(RULES)
HOT = {**PAYLOAD, "temperature": 1}
EDITED = OPEN.given(by(ANN, approve()), by(BO, edit({"temperature": 1}, comment="warmer")))


def test_an_edit_sets_the_count_back_and_is_the_editors_vote() -> None:
    """Earlier votes are kept and count no more; subject and hash are the edited ones."""
    outcome = OPEN.given(by(ANN, approve())).when(by(BO, edit({"temperature": 1}, comment="warmer")))
    outcome.then(
        like(e.SubjectRevised, subject=HOT, subject_sha256=digest(HOT), edits={"temperature": 1}, comment="warmer"),
        like(e.VoteCast, action="edit", subject_sha256=digest(HOT), counts=True),
    )
    outcome.leaves(
        state="payload_review",
        checkpoint__checkpoint_id=OPEN.checkpoint_id,
        checkpoint__subject=HOT,
        checkpoint__subject_sha256=digest(HOT),
        checkpoint__task__votes__counts=(False, True),
        checkpoint__approvals=({"actor": "bo", "action": "edit"},),
    )


def test_an_approval_of_the_old_bytes_is_refused() -> None:
    """Who saw those has not seen these."""
    EDITED.when(by(CY, approve(subject_sha256=digest(PAYLOAD)))).refused_with(
        "subject_changed", subject_sha256=digest(HOT)
    )


def test_who_voted_before_the_edit_votes_again() -> None:
    """The editor does not: the edit is the vote."""
    EDITED.when(by(BO, approve())).refused_with("already_voted")
    EDITED.when(by(ANN, approve(subject_sha256=digest(HOT)))).then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)


def test_the_decision_is_an_edit_from_what_was_shown_first() -> None:
    """After several edits too: its edits and diff lead from the first subject to the last."""
    story = EDITED.given(by(CY, edit({"prompt": "a blue bicycle", "size": None})))
    outcome = story.when(by(ANN, approve(comment="so be it")))
    outcome.then(e.VoteCast, e.CheckpointEdited, e.CheckOrdered)
    edited = outcome.data(e.CheckpointEdited)
    assert edited.edits == {"temperature": 1, "prompt": "a blue bicycle", "size": None}
    assert merge_patch(PAYLOAD, edited.edits) == edited.subject == story.now.view.checkpoint.subject  # type: ignore[union-attr]
    assert edited.diff == diff(PAYLOAD, edited.subject)
    assert (edited.subject_sha256, edited.comment) == (digest(edited.subject), "so be it")
    outcome.leaves(last_approval__action="edit", last_approval__actor="ann", last_approval__diff=edited.diff)


def test_the_call_sends_exactly_the_bytes_that_all_approved() -> None:
    """They are priced and checked first, as every edited payload is."""
    story = EDITED.given(by(CY, approve()))
    (check,) = story.orders()
    assert isinstance(check, CheckOrder)
    assert check.payload == HOT
    calls = story.given(checked())
    (order,) = calls.orders()
    assert isinstance(order, ExecuteOrder)
    assert (order.payload, order.payload_sha256) == (HOT, digest(HOT))
    assert calls.given(executed()).now.view.result is not None


def test_an_edit_back_to_the_first_bytes_is_an_edit_without_a_change() -> None:
    """The decision says so, and what was shown first is sent."""
    story = EDITED.given(by(CY, edit({"temperature": 0.5})))
    outcome = story.when(by(ANN, approve()))
    outcome.then(e.VoteCast, like(e.CheckpointEdited, edits={}, diff=(), subject=PAYLOAD), e.CheckOrdered)


def test_an_edit_that_changes_nothing_is_an_approval() -> None:
    """It sets no count back."""
    one = OPEN.given(by(ANN, approve()))
    one.when(by(ANN, edit({}))).refused_with("already_voted")
    one.when(by(BO, edit({"temperature": 0.5}))).then(
        like(e.VoteCast, action="approve"), e.CheckpointApproved, e.CallOrdered
    )


def test_an_edit_that_does_not_validate_leaves_all_as_it_was() -> None:
    """The votes stand."""
    one = OPEN.given(by(ANN, approve()))
    assert one.when(by(BO, edit({"temperature": 9}))).refused_with("validation_failed").events == ()
    assert one.when(by(BO, edit({"temperature": 1}, subject_sha256="0" * 64))).refused_with("subject_changed")


def test_a_revised_subject_can_be_rejected() -> None:
    """The rejection names the bytes that were shown last."""
    EDITED.when(by(CY, reject())).then(
        e.VoteCast, like(e.CheckpointRejected, subject_sha256=digest(HOT)), e.RunCancelled
    )


def test_the_next_checkpoint_begins_with_nothing_of_it() -> None:
    """Neither the revision nor the votes."""
    steps = ("payload_review", "response_review")
    story = given(start(review=RULES, allowed_steps=steps), prepared())
    story = story.given(by(BO, edit({"temperature": 1})), by(CY, approve()), checked(), executed())
    task = task_of(story)
    assert (task.votes, task.revised_by) == ((), None)
    story.given(by(BO, approve())).when(by(CY, approve())).then(e.VoteCast, e.CheckpointApproved, e.RunCompleted)


@pytest.mark.parametrize("rules", [RULES, {"four_eyes": True}], ids=["quorum", "four eyes"])
def test_a_run_with_too_many_events_is_edited_no_more(rules: dict[str, Any]) -> None:
    """People who revise each other could go on for ever, at a response review too. An approval stays possible."""
    asked = start(review=rules, allowed_steps=("response_review",))
    story: Story = at_length(given(asked, prepared(), executed()), MOST_EVENTS)
    story.when(by(ANN, edit({"text": "no"}))).refused_with("history_too_long")
    assert story.when(by(ANN, approve())).refusal is None


@whatever(first=strategies.json_objects, patches=st.lists(strategies.json_objects, max_size=4))
def test_one_patch_leads_where_several_led(first: dict[str, Any], patches: list[dict[str, Any]]) -> None:
    """Merge patches cannot be composed without the subject: the one is made of both ends."""
    last = first
    for patch in patches:
        last = merge_patch(last, patch)
    assert digest(merge_patch(first, patch_between(first, last))) == digest(last)


def test_a_number_in_place_of_an_object_and_an_object_in_its_place_again() -> None:
    """The two patches composed member by member would keep what the first removed."""
    edits: list[dict[str, Any]] = [{"size": 3}, {"size": {"w": 9}}]
    story = OPEN.given(*(by(person, edit(patch)) for person, patch in zip((ANN, BO), edits, strict=True)))
    edited = story.when(by(CY, approve())).data(e.CheckpointEdited)
    assert edited.subject["size"] == {"w": 9}
    assert merge_patch(PAYLOAD, edited.edits) == edited.subject
