"""Error review: a person calls again, enters the result, or gives up, where no retry helps."""

from __future__ import annotations

from decimal import Decimal

import pytest

from contracts.json_values import digest
from contracts.providers.call import Received
from contracts.runs import events as e
from contracts.runs.config import Policy, Step
from testkit.runs.commands import (
    PAYLOAD,
    approve,
    at_error_review,
    back_off_ends,
    calling,
    cancel,
    edit,
    executed,
    failed,
    issue,
    prepared,
    reject,
    retry,
    start,
)
from testkit.runs.specification import Story, given, like


def test_a_person_sees_what_failed_how_often_and_with_which_payload() -> None:
    """The state stays `api_call`; the failure, its issues and the payload are shown."""
    outcome = calling().when(failed("bad_request", status=400, issues=(issue(),)))
    outcome.then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("call_failed",)))
    outcome.leaves(state="api_call", pending_actions=("retry", "edit", "reject"), checkpoint__issues=(issue(),))
    context = outcome.story.now.view.checkpoint_context
    assert (context["failure"]["code"], context["failure"]["status"], context["attempts"]) == ("bad_request", 400, 1)
    assert context["payload"] == PAYLOAD


def test_a_retry_calls_again_with_the_approved_payload() -> None:
    """A retry is a new order with attempts of its own; the decision is kept like any other."""
    story = at_error_review()
    checkpoint_id = story.checkpoint_id
    outcome = story.when(retry(reason="try once more"))
    outcome.then(
        like(e.RunRetried, checkpoint_id=checkpoint_id, reason="try once more"),
        like(e.CallOrdered, attempt=1, payload_sha256=digest(PAYLOAD)),
    )
    outcome.leaves(state="api_call", checkpoint=None, last_approval__action="retry", last_approval__actor="ann")
    assert outcome.story.attempt.work_id != calling().attempt.work_id


def test_an_edit_enters_the_result() -> None:
    """A person may answer in the provider's place, and no response review follows."""
    outcome = at_error_review().when(edit({"text": "by hand"}))
    outcome.then(
        like(e.CheckpointEdited, subject={"text": "by hand"}), like(e.RunCompleted, result={"text": "by hand"})
    )
    outcome.leaves(state="completed", result={"text": "by hand"})


def test_an_edit_must_enter_something() -> None:
    """An empty object is no result."""
    at_error_review().when(edit({})).refused_with("validation_failed")
    at_error_review().when(edit({"text": None})).refused_with("validation_failed")


CAME = Received(
    raw={"choices": [{"message": {"content": "Good ev"}}]},
    response={"text": "Good ev"},
    usage={"completion_tokens": 3},
    cost=Decimal("0.5"),
    estimated=True,
)


def test_what_came_of_the_call_is_shown_and_paid_for() -> None:
    """Its words are the subject; usage, cost and the raw answer stand beside it. The run's cost counts every attempt."""
    story = calling().given(failed(retryable=True, received=CAME), back_off_ends())
    outcome = story.when(failed("bad_request", received=CAME.changed({"cost": Decimal("0.25")})))
    outcome.leaves(cost__actual=Decimal("0.75"))
    view = outcome.story.now.view
    assert view.checkpoint is not None
    assert (view.checkpoint.subject, view.checkpoint.subject_sha256) == (CAME.response, digest(CAME.response))
    shown = view.checkpoint_context["failure"]["received"]
    assert (shown["raw"], shown["usage"], shown["cost"], shown["estimated"]) == (CAME.raw, CAME.usage, "0.25", True)


def test_an_edit_makes_the_result_of_what_came() -> None:
    """A person may take it as it is, mend it, or put another answer in its place."""
    story = calling().given(failed("bad_request", received=CAME))
    story.when(edit({})).leaves(state="completed", result={"text": "Good ev"})
    story.when(edit({"text": "Good evening."})).leaves(state="completed", result={"text": "Good evening."})
    story.when(edit({"text": None})).refused_with("validation_failed")


def test_a_run_that_fails_without_a_review_tells_what_came() -> None:
    """In its error: no person saw it before."""
    outcome = calling(on_error="fail").when(failed("bad_request", received=CAME))
    outcome.leaves(state="failed", error__received=CAME, cost__actual=CAME.cost)


def test_a_cancelled_run_counts_a_call_that_failed_after_its_first_byte() -> None:
    """Its end says what was spent."""
    outcome = calling().given(cancel()).when(failed("bad_request", received=CAME))
    outcome.then(like(e.CallStopped, spent__cost=CAME.cost, spent__usage=CAME.usage, spent__estimated=True))
    outcome.leaves(state="cancelled", cost__actual=CAME.cost)


def test_a_rejection_gives_up_with_the_error_of_the_call() -> None:
    """The application gets the failure as its error, not the rejection."""
    outcome = calling().given(failed("bad_request", issues=(issue(),))).when(reject(reason="never mind"))
    outcome.then(
        like(e.CheckpointRejected, reason="never mind"),
        like(e.RunFailed, error__code="bad_request", error__attempts=1, error__issues=(issue(),)),
    )


def test_an_error_cannot_be_approved() -> None:
    """An error review has no subject to approve."""
    at_error_review().when(approve()).refused_with("not_allowed", pending_actions=["retry", "edit", "reject"])


def test_a_failed_preparation_is_retried_from_the_start() -> None:
    """A call needs a payload."""
    outcome = given(start(), failed()).when(retry())
    outcome.then(e.RunRetried, e.PreparationOrdered).leaves(state="created")


def test_a_result_can_be_entered_when_the_preparation_failed() -> None:
    """A person can enter the result even if there never was a payload."""
    given(start(), failed()).when(edit({"text": "by hand"})).then(e.CheckpointEdited, e.RunCompleted)


def test_a_response_is_reviewed_after_an_error_was_retried() -> None:
    """A retry goes on like the first attempt."""
    outcome = at_error_review().given(retry()).when(executed())
    outcome.then(e.CallSucceeded, like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW))


def test_a_second_failure_opens_another_review() -> None:
    """Decisions on the first checkpoint do not count for the second."""
    first = at_error_review()
    second = first.given(retry(), failed())
    assert second.checkpoint_id != first.checkpoint_id
    outcome = second.when(reject(checkpoint_id=first.checkpoint_id))
    outcome.refused_with("checkpoint_already_decided")
    assert outcome.details["decision"]["action"] == "retry"


@pytest.mark.parametrize(
    ("policy", "on_error", "opens"),
    [
        (Policy.AUTO, None, False),
        (Policy.AUTO, "review", True),
        (Policy.AUTO, "fail", False),
        (Policy.REQUIRE_HUMAN, None, True),
        (Policy.REQUIRE_HUMAN, "fail", False),
        (Policy.AUTO_WITH_THRESHOLDS, None, True),
        (Policy.AUTO_WITH_THRESHOLDS, "fail", False),
    ],
)
def test_where_an_error_goes_follows_on_error_and_by_default_the_policy(
    policy: Policy, on_error: str | None, *, opens: bool
) -> None:
    """`review` by default, `fail` under `auto`; the run's own `on_error` comes first."""
    story = given(start(policy=policy, on_error=on_error))
    outcome = story.when(failed("bad_request"))
    if opens:
        outcome.then(e.PreparationFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
    else:
        outcome.then(e.PreparationFailed, like(e.RunFailed, error__code="bad_request", error__attempts=1))


def test_allowed_steps_do_not_switch_error_reviews() -> None:
    """`allowed_steps` switches the three reviews; errors follow `on_error`."""
    story: Story = given(start(allowed_steps=("information_review",)), prepared(), approve())
    story.when(failed()).then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
