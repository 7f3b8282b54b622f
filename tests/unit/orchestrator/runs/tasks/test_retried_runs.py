"""Trying again what has ended: nobody gets by it what the last review would not have let through."""

from __future__ import annotations

from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import approve, failed, prepared, reject, retry
from testkit.runs.people import ADAM, ANN, BO, DI
from testkit.runs.specification import Story
from testkit.runs.tasks import by, under


def at_error_review(**rules: object) -> Story:
    """Return a run of di's whose call failed, at an error review under these rules."""
    story = under(dict(rules), by=DI, allowed_steps=("response_review",))
    return story.given(failed())


def test_a_rejected_error_review_that_several_decide_is_opened_again_and_orders_no_call() -> None:
    """They decide anew; the count begins at nothing."""
    story = at_error_review(approvals_required=2).given(by(ANN, reject()))
    outcome = story.when(by(BO, retry())).then(e.RunRetried, e.CheckpointOpened)
    task = outcome.story.now.view.checkpoint
    assert task is not None
    assert (task.step, task.task.votes) == (Step.ERROR_REVIEW, ())
    story = outcome.story.given(by(BO, retry()))
    assert story.now.view.checkpoint is not None
    story.when(by(ANN, retry())).then(e.VoteCast, e.RunRetried, e.CallOrdered)


def test_one_reviewer_alone_decides_where_one_is_enough() -> None:
    """As ever, the call is made again at once."""
    at_error_review().given(by(ANN, reject())).when(by(BO, retry())).then(e.RunRetried, e.CallOrdered)


def test_who_asked_cannot_reject_and_retry_under_four_eyes() -> None:
    """Neither at the review nor behind it."""
    story = at_error_review(four_eyes=True)
    story.when(by(DI, retry())).refused_with("four_eyes")
    story.given(by(DI, reject())).when(by(DI, retry())).refused_with("four_eyes")


def test_who_was_no_candidate_tries_nothing_again() -> None:
    """An administrator may, as everywhere."""
    story = at_error_review(candidates={"users": ["ann"]}).given(by(ANN, reject()))
    story.when(by(BO, retry())).refused_with("not_candidate")
    assert story.when(by(ADAM, retry())).refusal is None
    assert story.when(by(ANN, retry())).refusal is None


def test_a_rejected_payload_is_prepared_and_reviewed_again() -> None:
    """It was approved by none, so it goes to them again."""
    story = under({"approvals_required": 2}).given(by(ANN, reject()), by(BO, retry()), prepared())
    assert story.now.view.checkpoint is not None
    assert story.now.view.checkpoint.step is Step.PAYLOAD_REVIEW
    assert story.when(by(ANN, approve())).refusal is None
