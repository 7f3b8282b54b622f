"""Cancelling a run ends the call that it is making, and the ledger says what was spent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from contracts.providers.call import Ending, Spent
from contracts.runs import events as e
from testkit.runs.commands import (
    at_payload_review,
    calling,
    cancel,
    edit,
    executed,
    extend_lease,
    failed,
    lease_ends,
    note_call,
    prepared,
    start,
    stopped,
)
from testkit.runs.specification import Story, given, like

CANCELLED = calling().given(cancel())
SPENT = Spent(usage={"output_tokens": 4}, cost=Decimal("0.0100"), estimated=True)


def test_cancelling_a_run_orders_its_call_to_stop() -> None:
    """The worker gets everything that it needs to find the call."""
    story = calling()
    (order,) = story.given(cancel()).stops(since=story.now.version)
    assert (order.run_id, order.attempt) == (story.now.run_id, 1)
    assert (order.provider, order.operation, order.provider_call_id) == ("sandbox", "text", None)


def test_a_call_with_an_id_is_stopped_by_it() -> None:
    """Any worker can stop it, also when the one that began it is gone."""
    story = calling().given(note_call("prediction-7"))
    (order,) = story.given(cancel()).stops(since=story.now.version)
    assert order.provider_call_id == "prediction-7"


def test_an_id_that_comes_late_is_passed_on() -> None:
    """The provider accepted the call just before the cancellation; the id lets a worker stop it."""
    outcome = CANCELLED.when(note_call("prediction-7"))
    outcome.then(like(e.CallNoted, provider_call_id="prediction-7"))
    (order,) = outcome.story.stops(since=CANCELLED.now.version)
    assert order.provider_call_id == "prediction-7"


LOST = failed("timeout", retryable=True, uncertain=True)


@pytest.mark.parametrize("hitl", [{}, {"max_attempts": 1}], ids=["before its next attempt", "at its error review"])
def test_a_noted_call_is_stopped_though_no_worker_has_it(hitl: dict[str, int]) -> None:
    """It runs on at the provider while the run waits to ask about it, or for a person."""
    story = calling(**hitl).given(note_call("prediction-7"), LOST)
    cancelled = story.given(cancel())
    (order,) = cancelled.stops(since=story.now.version)
    assert (order.provider_call_id, order.attempt) == ("prediction-7", 1)
    assert cancelled.due is not None
    outcome = cancelled.when(stopped(spent=SPENT).but(work_id=order.work_id, attempt=1))
    outcome.then(like(e.CallStopped, spent=SPENT))


def test_a_call_whose_result_a_person_entered_is_stopped_too() -> None:
    """The run will not ask about it again."""
    story = calling(max_attempts=1, allowed_steps=("payload_review",)).given(note_call("prediction-7"), LOST)
    outcome = story.when(edit({"text": "It is red."}))
    outcome.leaves(state="completed", result={"text": "It is red."})
    (order,) = outcome.story.stops(since=story.now.version)
    assert order.provider_call_id == "prediction-7"


@pytest.mark.parametrize("story", [given(start()), at_payload_review()], ids=["preparing", "at a review"])
def test_where_no_call_runs_nothing_is_to_stop(story: Story) -> None:
    """A preparation costs nothing, and at a review no call was made yet."""
    cancelled = story.given(cancel())
    assert cancelled.stops(since=story.now.version) == []
    assert cancelled.due is None


def test_what_was_spent_is_recorded() -> None:
    """The cost stands in the history and in the view, although the run is over."""
    outcome = CANCELLED.when(stopped(spent=SPENT, provider_request_id="req-1"))
    outcome.then(like(e.CallStopped, ending=Ending.STOPPED, spent=SPENT, provider_request_id="req-1", attempt=1))
    outcome.leaves(state="cancelled", result=None)
    assert outcome.story.now.view.cost.actual == Decimal("0.0100")
    assert outcome.story.due is None


def test_an_answer_that_was_faster_is_paid_for_and_is_no_result() -> None:
    """The call had ended before the order to stop arrived."""
    outcome = CANCELLED.when(executed(cost=Decimal("0.0300"), usage={"tokens": 9}))
    outcome.then(like(e.CallStopped, ending=Ending.COMPLETED))
    outcome.leaves(state="cancelled", result=None)
    assert outcome.story.now.view.cost.actual == Decimal("0.0300")


def test_a_call_that_failed_meanwhile_says_so() -> None:
    """The call is not tried again."""
    outcome = CANCELLED.when(failed("rate_limited", retryable=True))
    outcome.then(like(e.CallStopped, ending=Ending.FAILED))
    outcome.leaves(state="cancelled")
    assert outcome.story.due is None


def test_a_worker_that_is_still_at_it_keeps_its_lease() -> None:
    """The worker has not received the order to stop yet, and will report the cost."""
    outcome = CANCELLED.when(extend_lease())
    outcome.then(e.LeaseExtended)
    assert outcome.story.due is not None
    assert outcome.story.due.at > CANCELLED.due.at  # type: ignore[union-attr]


def test_a_call_without_an_answer_ends_unknown() -> None:
    """The worker died with the call: the ledger records an unknown end."""
    outcome = CANCELLED.when(lease_ends())
    outcome.then(like(e.CallStopped, ending=Ending.UNKNOWN, spent=Spent()))
    assert outcome.story.now.view.cost.actual is None
    assert outcome.story.due is None


@pytest.mark.parametrize(
    "late", [stopped(spent=SPENT), executed(), extend_lease(), note_call()], ids=["stop", "answer", "lease", "id"]
)
def test_the_end_is_recorded_once(late: object) -> None:
    """Two workers may report the end: the second is refused."""
    ended = CANCELLED.given(stopped())
    ended.when(late).refused_with("not_allowed")  # type: ignore[arg-type]


def test_a_run_that_goes_on_cannot_be_told_of_a_stop() -> None:
    """The run still waits for the answer of its call."""
    calling().when(stopped()).refused_with("not_allowed")


def test_a_preparation_cannot_answer_for_a_call() -> None:
    """Only a call's answers count."""
    CANCELLED.when(prepared()).refused_with("not_allowed")
