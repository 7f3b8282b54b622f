"""Retryable failures back off and are tried again; other failures, and calls that may have happened, are not."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.providers.orders import ExecuteOrder
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.attempts.failures import BACKOFF_MOST_SECONDS
from testkit.runs.commands import (
    PAYLOAD,
    approve,
    at_payload_review,
    back_off_ends,
    calling,
    executed,
    failed,
    prepared,
    start,
)
from testkit.runs.specification import Outcome, Story, given, like

UNSURE = failed("timeout", uncertain=True)


def _safe(**hitl: Any) -> Story:
    """Return a run whose call has neither cost nor effect when it is repeated."""
    return given(start(allowed_steps=("payload_review",), **hitl), prepared(safe_to_repeat=True), approve())


def _wait(outcome: Outcome) -> float:
    scheduled = outcome.data(e.RetryScheduled)
    return float((scheduled.retry_at - outcome.events[-1].at).total_seconds())


@pytest.mark.parametrize("story", [given(start()), calling()], ids=["preparation", "call"])
def test_a_retryable_failure_is_tried_again_after_a_while(story: Story) -> None:
    """The same order, the next attempt, and no person is asked."""
    outcome = story.when(failed("rate_limited", retryable=True))
    outcome.then(like(type(outcome.events[0].data)), like(e.RetryScheduled, attempt=2, work_id=story.attempt.work_id))
    outcome.leaves(state=story.now.view.state, checkpoint=None, pending_actions=())
    assert outcome.story.orders() == [], "nothing is ordered before its time"
    again = outcome.story.when(back_off_ends())
    kind = e.CallOrdered if story.now.payload is not None else e.PreparationOrdered
    again.then(like(kind, attempt=2, work_id=story.attempt.work_id))
    (order,) = again.story.orders()
    assert (order.attempt, order.work_id) == (2, story.attempt.work_id)


def test_the_next_attempt_sends_the_same_bytes() -> None:
    """A retry would change nothing."""
    (order,) = calling().given(failed(retryable=True), back_off_ends()).orders()
    assert isinstance(order, ExecuteOrder)
    assert order.payload == PAYLOAD


def test_waits_double_up_to_a_bound() -> None:
    """Waits are spread by the run's id, so that runs that failed together do not return together."""
    story, waits = calling(max_attempts=12), []
    for _ in range(11):
        outcome = story.when(failed(retryable=True))
        waits.append(_wait(outcome))
        story = outcome.story.given(back_off_ends())
    assert waits[1] == 2 * waits[0]
    assert waits[2] == 4 * waits[0]
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] <= BACKOFF_MOST_SECONDS * 1.25


@pytest.mark.parametrize(("asked", "least"), [(None, 1), (0.0, 1), (0.001, 1), (30.0, 30), (7200.0, 7200)])
def test_a_providers_retry_after_is_honoured(asked: float | None, least: float) -> None:
    """Never sooner than the provider asks, nor sooner than the back-off."""
    wait = _wait(calling().when(failed("rate_limited", retryable=True, retry_after=asked)))
    assert least <= wait <= max(least, 1.25)


def test_a_senseless_retry_after_is_bounded() -> None:
    """However long a wait the header asks for, the deadline stays a valid time."""
    for asked in (1e9, 1e18, 1e300):
        wait = _wait(calling().when(failed(retryable=True, retry_after=asked)))
        assert wait == 86_400


def test_a_retry_before_its_time_is_refused() -> None:
    """The clock of another orchestrator may be ahead."""
    story = calling().given(failed(retryable=True))
    story.when(back_off_ends().but(at=story.at)).refused_with("not_allowed", state="api_call")


def test_attempts_are_counted_and_exhausted() -> None:
    """`max_attempts` tries in all; the final error says how many there were."""
    story = calling(max_attempts=3, on_error="fail")
    for attempt in (1, 2):
        story = story.given(failed(retryable=True))
        assert story.attempt.number == attempt + 1
        story = story.given(back_off_ends())
    outcome = story.when(failed("rate_limited", retryable=True))
    outcome.then(e.CallFailed, like(e.RunFailed, error__code="rate_limited", error__attempts=3))


@pytest.mark.parametrize(("policy", "then"), [("require_human", e.CheckpointOpened), ("auto", e.RunFailed)])
def test_exhausted_retries_go_where_on_error_says(policy: str, then: type[e.Event]) -> None:
    """By default the failure goes to a person; under `auto` the run fails."""
    story = given(start(policy=policy, max_attempts=1))
    outcome = story.when(failed(retryable=True))
    outcome.then(e.PreparationFailed, then)


def test_one_attempt_means_no_retry() -> None:
    """The smallest bound is honoured."""
    calling(max_attempts=1).when(failed(retryable=True)).then(
        e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW)
    )


def test_an_error_that_no_retry_mends_is_not_retried() -> None:
    """A bad request stays a bad request."""
    calling(max_attempts=9).when(failed("bad_request")).then(e.CallFailed, e.CheckpointOpened)


def test_a_success_after_a_failure_is_like_any_other() -> None:
    """The view keeps nothing of the failure."""
    story = calling(allowed_steps=("payload_review",)).given(failed(retryable=True), back_off_ends())
    outcome = story.when(executed())
    outcome.then(like(e.CallSucceeded, attempt=2), e.RunCompleted).leaves(error=None)


# ---- calls that may have happened


def test_an_uncertain_call_goes_to_a_person_by_default() -> None:
    """There is no blind retry, although the failure is retryable and attempts are left; under `auto` too."""
    for policy, allowed in (("require_human", ("payload_review",)), ("auto", ())):
        story = given(start(policy=policy, allowed_steps=allowed), prepared())
        story = story.given(approve()) if story.now.view.checkpoint else story
        outcome = story.when(failed("timeout", uncertain=True, retryable=True))
        opened = like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("call_uncertain",))
        outcome.then(e.CallFailed, opened)


def test_an_uncertain_call_fails_where_that_is_asked_for() -> None:
    """`on_uncertain: fail`, whatever `on_error` says."""
    calling(on_uncertain="fail", on_error="review").when(UNSURE).then(
        e.CallFailed, like(e.RunFailed, error__code="timeout", error__attempts=1)
    )


def test_an_uncertain_call_is_retried_where_that_is_asked_for() -> None:
    """`on_uncertain: retry` takes the risk, for as many attempts as there are; then `on_error` decides."""
    story = calling(on_uncertain="retry", max_attempts=2)
    outcome = story.when(UNSURE)
    outcome.then(e.CallFailed, like(e.RetryScheduled, attempt=2))
    last = outcome.story.given(back_off_ends()).when(UNSURE)
    last.then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
    failing = calling(on_uncertain="retry", max_attempts=1, on_error="fail").when(UNSURE)
    failing.then(e.CallFailed, e.RunFailed)


@pytest.mark.parametrize("on_uncertain", ["review", "retry", "fail"])
def test_a_call_that_is_safe_to_repeat_is_repeated(on_uncertain: str) -> None:
    """The provider declared that a repeated call does no harm."""
    outcome = _safe(on_uncertain=on_uncertain).when(UNSURE)
    outcome.then(e.CallFailed, like(e.RetryScheduled, attempt=2))


def test_a_safe_call_that_keeps_failing_is_an_ordinary_error() -> None:
    """`on_error` decides, and the reason is not uncertainty."""
    outcome = _safe(max_attempts=1).when(UNSURE)
    outcome.then(e.CallFailed, like(e.CheckpointOpened, reasons__code=("call_failed",)))


def test_a_preparation_is_always_safe_to_repeat() -> None:
    """A preparation costs nothing, so an uncertain one is tried again."""
    given(start(on_uncertain="fail")).when(UNSURE).then(e.PreparationFailed, e.RetryScheduled)


def test_a_call_that_waits_for_its_next_attempt_takes_no_answer() -> None:
    """The failed attempt is over, and the next one is not ordered yet."""
    story = calling().given(failed(retryable=True))
    for attempt in (1, 2):
        story.when(executed().but(attempt=attempt)).refused_with("not_allowed", state="api_call")


def test_a_retry_of_what_a_person_approved_needs_no_second_approval() -> None:
    """Approvals are for bytes, and these are the same."""
    story = at_payload_review().given(approve(), failed(retryable=True))
    story.when(back_off_ends()).then(e.CallOrdered)
