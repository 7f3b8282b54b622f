"""One draft a person and checkpoint. The history knows who has one; its content stands in the read model."""

from __future__ import annotations

from contracts.runs import events as e
from testkit.runs.commands import approve, executed, prepared, start
from testkit.runs.people import ANN, ANNS_BOT, BO, CY
from testkit.runs.specification import given
from testkit.runs.tasks import assign, by, claim, drop_draft, keep_draft, task_of, under

OPEN = under({"candidates": {"users": ["ann", "bo"]}})
KEPT = OPEN.given(by(ANN, keep_draft()))


def test_a_draft_is_begun_once() -> None:
    """Kept again it is no event, also by another key of the person."""
    OPEN.when(by(ANN, keep_draft())).then(e.DraftBegun).leaves(checkpoint__task__drafts=1)
    KEPT.when(by(ANN, keep_draft())).then()
    KEPT.when(by(ANNS_BOT, keep_draft())).then()


def test_each_person_has_one() -> None:
    """They are counted."""
    assert task_of(KEPT.given(by(BO, keep_draft()))).drafts == 2


def test_a_draft_is_dropped() -> None:
    """Where there is none, nothing happens."""
    KEPT.when(by(ANN, drop_draft())).then(e.DraftDropped).leaves(checkpoint__task__drafts=0)
    KEPT.when(by(BO, drop_draft())).then().leaves(checkpoint__task__drafts=1)


def test_a_draft_does_not_need_the_claim() -> None:
    """Who lost the claim keeps the draft, and works on it; the holder's claim is not renewed by that."""
    held = KEPT.given(by(BO, claim())).later(300)
    held.when(by(ANN, keep_draft())).then()
    held.when(by(ANN, approve())).refused_with("claimed_by_other", holder="bo").leaves(checkpoint__task__drafts=1)


def test_who_is_not_asked_drafts_nothing() -> None:
    """Who should do it does, candidate or not."""
    OPEN.when(by(CY, keep_draft())).refused_with("not_candidate")
    OPEN.given(by(ANN, assign("cy"))).when(by(CY, keep_draft())).then(e.DraftBegun)


def test_the_next_checkpoint_begins_without_drafts() -> None:
    """The earlier checkpoint's draft was of another decision."""
    story = given(start(allowed_steps=("payload_review", "response_review")), prepared(), by(ANN, keep_draft()))
    first = story.checkpoint_id
    story = story.given(approve(), executed())
    assert task_of(story).drafts == 0
    story.when(by(ANN, keep_draft())).then(e.DraftBegun)
    story.when(by(ANN, keep_draft(checkpoint_id=first))).refused_with("checkpoint_already_decided")
