"""Leases: work is in one pair of hands, for as long as they are heard of. Answers to anything older are refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.providers.orders import ExecuteOrder
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.attempts.answers import DOUBT_SECONDS
from testkit.runs.commands import (
    again,
    approve,
    at_payload_review,
    back_off_ends,
    calling,
    completed,
    executed,
    extend_lease,
    failed,
    lease_ends,
    prepared,
    start,
)
from testkit.runs.specification import Ask, Story, given, like


def test_work_is_due_when_its_lease_ends() -> None:
    """The clock knows the end of the lease of the work in hand."""
    story = calling(lease_seconds=30)
    assert story.due is not None
    assert story.due.at == story.history[-1].at + timedelta(seconds=30)


def test_a_lease_is_extended_from_the_time_it_is_asked_for() -> None:
    """A worker that says it is alive has the whole lease again, and the order stays the one that it was."""
    story = calling(lease_seconds=30).later(20)
    outcome = story.when(extend_lease())
    until = outcome.events[0].at + timedelta(seconds=30)
    outcome.then(like(e.LeaseExtended, lease_until=until, work_id=story.attempt.work_id, attempt=1))
    outcome.leaves(state="api_call")
    assert outcome.story.due is not None
    assert outcome.story.due.at == until
    assert outcome.story.orders(since=story.now.version) == [], "nothing is ordered a second time"


def test_the_end_of_a_lease_that_was_extended_is_refused() -> None:
    """The clock may have been about to say so when the worker spoke."""
    story = calling()
    due = story.due
    story.later(20).given(extend_lease()).when(again(due)).refused_with("not_allowed", state="api_call")


def test_a_lease_does_not_end_before_its_time() -> None:
    """To the microsecond; at the very time it does."""
    story = given(start())
    assert story.due is not None
    story.when(lease_ends().but(at=story.due.at - timedelta(microseconds=1))).refused_with("not_allowed")
    story.when(lease_ends()).then(e.PreparationFailed, e.RetryScheduled)


def test_a_preparation_that_was_lost_is_tried_again() -> None:
    """It costs nothing, so nobody needs to be asked."""
    outcome = given(start()).when(lease_ends())
    lost = like(e.PreparationFailed, failure__code="worker_lost", failure__uncertain=False)
    outcome.then(lost, like(e.RetryScheduled, attempt=2))


def test_a_call_that_was_lost_may_have_happened_and_goes_to_a_person() -> None:
    """Nobody knows whether the worker died before or after the call."""
    outcome = calling().given(lease_ends()).when(lease_ends())
    lost = like(e.CallFailed, failure__code="worker_lost", failure__uncertain=True)
    outcome.then(lost, like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("call_uncertain",)))


def test_a_call_that_nobody_speaks_of_is_ordered_once_more_before_a_person_is_asked() -> None:
    """The very same attempt, for a worker to begin only if none has; perhaps all of them were away."""
    outcome = calling().when(lease_ends())
    outcome.then(like(e.CallDoubted, attempt=1))
    outcome.leaves(state="api_call", checkpoint=None)
    (order,) = outcome.story.orders(since=calling().now.version)
    assert isinstance(order, ExecuteOrder)
    assert (order.doubted, order.attempt, order.work_id) == (True, 1, calling().attempt.work_id)
    assert not any(order.doubted for order in calling().orders() if isinstance(order, ExecuteOrder))


def test_a_doubted_call_waits_long_for_a_worker_and_then_has_its_usual_lease() -> None:
    """So that an outage of all workers bothers nobody, and the death of the one that took it is noticed soon."""
    story = calling().given(lease_ends())
    assert story.due is not None
    assert story.due.at - story.history[-1].at == timedelta(seconds=DOUBT_SECONDS)
    extended = story.given(extend_lease())
    assert extended.due is not None
    assert extended.due.at - extended.history[-1].at == timedelta(seconds=60)
    extended.when(lease_ends()).then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))


def test_a_worker_that_finds_it_begun_says_that_it_is_lost() -> None:
    """And a person is asked, since it may have happened."""
    lost = failed("worker_lost", retryable=True, uncertain=True)
    outcome = calling().given(lease_ends()).when(lost)
    outcome.then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("call_uncertain",)))


def test_a_call_that_was_lost_is_repeated_where_that_is_safe() -> None:
    """The provider said that a second call neither costs nor changes anything."""
    story = given(start(allowed_steps=("payload_review",)), prepared(safe_to_repeat=True), approve())
    story.when(lease_ends()).then(e.CallFailed, like(e.RetryScheduled, attempt=2))


def test_an_answer_after_the_lease_but_before_anybody_noticed_is_taken() -> None:
    """The work was done: what is known is better than what would have to be asked."""
    calling().later(10_000).when(executed()).then(e.CallSucceeded, e.CheckpointOpened)


def _stale(story: Story) -> list[Ask]:
    """Answers of every kind to the work in hand."""
    about = {"work_id": story.attempt.work_id, "attempt": story.attempt.number}
    return [ask.but(**about) for ask in (prepared(), executed(), failed(), extend_lease())]


@pytest.mark.parametrize("story", [given(start()), calling()], ids=["preparation", "call"])
def test_answers_to_an_older_attempt_are_refused(story: Story) -> None:
    """DESIGN: whoever was given up on has nothing to say any more; the attempt after it is untouched."""
    tried_again = story.given(failed(retryable=True), back_off_ends())
    for ask in _stale(story):
        outcome = tried_again.when(ask)
        outcome.refused_with("not_allowed")
        assert outcome.story.now == tried_again.now


@pytest.mark.parametrize("story", [given(start()), calling()], ids=["preparation", "call"])
def test_answers_to_an_attempt_not_yet_made_are_refused(story: Story) -> None:
    """Nobody was ordered to make it."""
    for ask in _stale(story):
        story.when(ask.but(attempt=2)).refused_with("not_allowed")


def test_answers_of_the_wrong_kind_are_refused() -> None:
    """A call is not answered with a preparation, nor a preparation with a response."""
    given(start()).when(executed()).refused_with("not_allowed", state="created")
    calling().when(prepared()).refused_with("not_allowed", state="api_call")


def test_answers_to_other_work_are_refused() -> None:
    """The first preparation's answer does not pass for the second's."""
    story = calling()
    for ask in _stale(story):
        story.when(ask.but(work_id="elsewhere.1")).refused_with("not_allowed")


def test_answers_to_work_that_is_done_are_refused() -> None:
    """A worker that answers twice is heard once, whatever it says the second time."""
    story = given(start())
    for ask in _stale(story):
        at_payload_review().when(ask).refused_with("not_allowed", state="payload_review")
    call = calling(allowed_steps=("payload_review",))
    for ask in _stale(call):
        completed().when(ask).refused_with("not_allowed", state="completed")


def test_the_end_of_a_lease_after_the_answer_is_refused() -> None:
    """It is the clock's way to be late."""
    story = calling()
    due = story.due
    story.given(executed()).when(again(due)).refused_with("not_allowed", state="response_review")


def test_a_lease_does_not_end_before_its_work_is_ordered() -> None:
    """The next attempt waits: it has no lease yet, and what has one does not wait for its time."""
    waits, works = calling().given(failed(retryable=True)), calling()
    asks = [
        (waits, Ask(c.ExpireLease, lambda story: {"work_id": story.attempt.work_id, "attempt": story.attempt.number})),
        (works, Ask(c.RetryWork, lambda story: {"work_id": story.attempt.work_id, "attempt": story.attempt.number})),
    ]
    for story, ask in asks:
        story.later(10_000).when(ask).refused_with("not_allowed", state="api_call")


def test_the_clock_is_told_nothing_of_a_lease_when_the_next_attempt_waits() -> None:
    """One time is kept for a run: the one it waits for."""
    story = calling().given(failed(retryable=True))
    assert story.due is not None
    assert (story.due.kind, story.due.at) == ("retry-work.v1", story.attempt.retry_at)
