"""Leases: one worker at a time holds an attempt, for as long as it extends the lease. Answers to older attempts are refused."""

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
    """The end of the lease is the run's deadline."""
    story = calling(lease_seconds=30)
    assert story.due is not None
    assert story.due.at == story.history[-1].at + timedelta(seconds=30)


def test_a_lease_is_extended_from_the_time_it_is_asked_for() -> None:
    """A worker that reports itself alive has the whole lease again, and the order stays the same."""
    story = calling(lease_seconds=30).later(20)
    outcome = story.when(extend_lease())
    until = outcome.events[0].at + timedelta(seconds=30)
    outcome.then(like(e.LeaseExtended, lease_until=until, work_id=story.attempt.work_id, attempt=1))
    outcome.leaves(state="api_call")
    assert outcome.story.due is not None
    assert outcome.story.due.at == until
    assert outcome.story.orders(since=story.now.version) == [], "nothing is ordered a second time"


def test_the_end_of_a_lease_that_was_extended_is_refused() -> None:
    """The lease may have been about to end when the worker extended it."""
    story = calling()
    due = story.due
    story.later(20).given(extend_lease()).when(again(due)).refused_with("not_allowed", state="api_call")


def test_a_lease_does_not_end_before_its_time() -> None:
    """Early by a microsecond is refused; the exact time counts."""
    story = given(start())
    assert story.due is not None
    story.when(lease_ends().but(at=story.due.at - timedelta(microseconds=1))).refused_with("not_allowed")
    story.when(lease_ends()).then(e.PreparationFailed, e.RetryScheduled)


def test_a_preparation_that_was_lost_is_tried_again() -> None:
    """A preparation costs nothing, so no person is asked."""
    outcome = given(start()).when(lease_ends())
    lost = like(e.PreparationFailed, failure__code="worker_lost", failure__uncertain=False)
    outcome.then(lost, like(e.RetryScheduled, attempt=2))


def test_a_call_that_was_lost_may_have_happened_and_goes_to_a_person() -> None:
    """The worker may have died before or after the call."""
    outcome = calling().given(lease_ends()).when(lease_ends())
    lost = like(e.CallFailed, failure__code="worker_lost", failure__uncertain=True)
    outcome.then(lost, like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("call_uncertain",)))


def test_a_call_without_an_answer_is_ordered_once_more_before_a_person_is_asked() -> None:
    """The same attempt is ordered again, and a worker begins it only if none has."""
    outcome = calling().when(lease_ends())
    outcome.then(like(e.CallDoubted, attempt=1))
    outcome.leaves(state="api_call", checkpoint=None)
    (order,) = outcome.story.orders(since=calling().now.version)
    assert isinstance(order, ExecuteOrder)
    assert (order.doubted, order.attempt, order.work_id) == (True, 1, calling().attempt.work_id)
    assert not any(order.doubted for order in calling().orders() if isinstance(order, ExecuteOrder))


def test_a_doubted_call_waits_long_for_a_worker_and_then_has_its_usual_lease() -> None:
    """An outage of all workers bothers no person, and the death of the worker that began is noticed soon."""
    story = calling().given(lease_ends())
    assert story.due is not None
    assert story.due.at - story.history[-1].at == timedelta(seconds=DOUBT_SECONDS)
    extended = story.given(extend_lease())
    assert extended.due is not None
    assert extended.due.at - extended.history[-1].at == timedelta(seconds=60)
    extended.when(lease_ends()).then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))


def test_a_worker_that_finds_it_begun_says_that_it_is_lost() -> None:
    """A person is asked, since the call may have happened."""
    lost = failed("worker_lost", retryable=True, uncertain=True)
    outcome = calling().given(lease_ends()).when(lost)
    outcome.then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("call_uncertain",)))


def test_a_call_that_was_lost_is_repeated_where_that_is_safe() -> None:
    """The provider declared that a second call has neither cost nor effect."""
    story = given(start(allowed_steps=("payload_review",)), prepared(safe_to_repeat=True), approve())
    story.when(lease_ends()).then(e.CallFailed, like(e.RetryScheduled, attempt=2))


def test_an_answer_after_the_lease_but_before_its_deadline_fired_is_taken() -> None:
    """The answer is there, so no person needs to be asked."""
    calling().later(10_000).when(executed()).then(e.CallSucceeded, e.CheckpointOpened)


def _stale(story: Story) -> list[Ask]:
    """Every kind of answer to the leased attempt."""
    about = {"work_id": story.attempt.work_id, "attempt": story.attempt.number}
    return [ask.but(**about) for ask in (prepared(), executed(), failed(), extend_lease())]


@pytest.mark.parametrize("story", [given(start()), calling()], ids=["preparation", "call"])
def test_answers_to_an_older_attempt_are_refused(story: Story) -> None:
    """A worker that lost its lease is refused, and the next attempt is untouched."""
    tried_again = story.given(failed(retryable=True), back_off_ends())
    for ask in _stale(story):
        outcome = tried_again.when(ask)
        outcome.refused_with("not_allowed")
        assert outcome.story.now == tried_again.now


@pytest.mark.parametrize("story", [given(start()), calling()], ids=["preparation", "call"])
def test_answers_to_an_attempt_not_yet_made_are_refused(story: Story) -> None:
    """The attempt was not ordered yet."""
    for ask in _stale(story):
        story.when(ask.but(attempt=2)).refused_with("not_allowed")


def test_answers_of_the_wrong_kind_are_refused() -> None:
    """A preparation does not answer a call, and a response does not answer a preparation."""
    given(start()).when(executed()).refused_with("not_allowed", state="created")
    calling().when(prepared()).refused_with("not_allowed", state="api_call")


def test_answers_to_other_work_are_refused() -> None:
    """The first preparation's answer does not count for the second."""
    story = calling()
    for ask in _stale(story):
        story.when(ask.but(work_id="elsewhere.1")).refused_with("not_allowed")


def test_answers_to_work_that_is_done_are_refused() -> None:
    """The first answer counts, whatever the second one says."""
    story = given(start())
    for ask in _stale(story):
        at_payload_review().when(ask).refused_with("not_allowed", state="payload_review")
    call = calling(allowed_steps=("payload_review",))
    for ask in _stale(call):
        completed().when(ask).refused_with("not_allowed", state="completed")


def test_the_end_of_a_lease_after_the_answer_is_refused() -> None:
    """The deadline fired late: the attempt has been answered."""
    story = calling()
    due = story.due
    story.given(executed()).when(again(due)).refused_with("not_allowed", state="response_review")


def test_a_lease_does_not_end_before_its_work_is_ordered() -> None:
    """A scheduled attempt has no lease yet, and a leased one is not scheduled."""
    waits, works = calling().given(failed(retryable=True)), calling()
    asks = [
        (waits, Ask(c.ExpireLease, lambda story: {"work_id": story.attempt.work_id, "attempt": story.attempt.number})),
        (works, Ask(c.RetryWork, lambda story: {"work_id": story.attempt.work_id, "attempt": story.attempt.number})),
    ]
    for story, ask in asks:
        story.later(10_000).when(ask).refused_with("not_allowed", state="api_call")


def test_the_clock_is_told_nothing_of_a_lease_when_the_next_attempt_waits() -> None:
    """A run has one deadline: the time that it waits for."""
    story = calling().given(failed(retryable=True))
    assert story.due is not None
    assert (story.due.kind, story.due.at) == ("retry-work.v1", story.attempt.retry_at)
