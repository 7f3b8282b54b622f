"""A call that the provider accepted under an id is asked about, and never made a second time without a person's decision."""

from __future__ import annotations

import pytest

from contracts.providers.orders import ExecuteOrder
from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import (
    approve,
    at_payload_review,
    back_off_ends,
    calling,
    completed,
    edit,
    executed,
    failed,
    lease_ends,
    note_call,
    prepared,
    retry,
    start,
)
from testkit.runs.specification import Story, given, like

LOST = failed("connection_lost", retryable=True, uncertain=True)
TAKEN = calling().given(note_call("prediction-7"))
"""A call that is running, and whose id is known."""


def ordered(story: Story) -> ExecuteOrder:
    """Return the order of the call."""
    (order,) = story.orders(since=story.now.version - 1)
    assert isinstance(order, ExecuteOrder)
    return order


def test_the_id_is_recorded_at_once() -> None:
    """The id is an event of its own, before the answer; the run goes on waiting."""
    outcome = calling().when(note_call("prediction-7"))
    outcome.then(like(e.CallNoted, provider_call_id="prediction-7", attempt=1))
    outcome.leaves(state="api_call", checkpoint=None)
    assert outcome.story.due == calling().due
    assert outcome.story.orders(since=outcome.story.now.version - 1) == []


@pytest.mark.parametrize("end", [LOST, lease_ends()], ids=["connection lost", "worker lost"])
def test_the_next_attempt_asks_about_the_call(end: object) -> None:
    """The provider knows whether the call happened, so no person is asked."""
    outcome = TAKEN.when(end)  # type: ignore[arg-type]
    outcome.then(e.CallFailed, like(e.RetryScheduled, attempt=2))
    order = ordered(outcome.story.given(back_off_ends()))
    assert (order.resume, order.attempt) == ("prediction-7", 2)


def test_without_an_id_a_person_is_asked() -> None:
    """The call may have happened, and the provider cannot be asked."""
    assert ordered(calling()).resume is None
    calling().given(lease_ends()).when(lease_ends()).then(
        e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW)
    )


@pytest.mark.parametrize(
    "code",
    ["circuit_open", "provider_unconfigured", "provider_unknown", "storage_unavailable", "payload_mismatch"],
)
def test_an_attempt_that_did_not_reach_the_provider_leaves_the_call_to_be_asked_about(code: str) -> None:
    """Only the provider can say that an accepted call is over."""
    story = TAKEN.given(LOST, back_off_ends(), failed(code, retryable=True), back_off_ends())
    assert ordered(story).resume == "prediction-7"


def test_a_call_that_the_provider_knows_no_more_goes_to_a_person() -> None:
    """The call cannot be asked about and may have been paid for: a person decides on another one."""
    gone = failed("call_gone", uncertain=True)
    outcome = TAKEN.given(LOST, back_off_ends()).when(gone)
    outcome.then(e.CallFailed, like(e.CheckpointOpened, reasons__code=("call_uncertain",)))
    assert outcome.story.now.resumable is None


def test_a_call_that_has_ended_is_not_asked_about() -> None:
    """A failed prediction is over: the next attempt is a new call."""
    story = TAKEN.given(failed("prediction_failed", retryable=True), back_off_ends())
    assert ordered(story).resume is None


def test_attempts_that_are_used_up_go_to_a_person_whose_retry_asks_too() -> None:
    """Three attempts could not reach the provider; the call may still be running there."""
    story = TAKEN.given(LOST, back_off_ends(), LOST, back_off_ends())
    outcome = story.when(LOST)
    outcome.then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
    again = outcome.story.given(retry())
    assert ordered(again).resume == "prediction-7"


def test_another_payload_is_another_call() -> None:
    """The id belongs to the bytes that were approved then."""
    story = TAKEN.given(LOST, back_off_ends(), LOST, back_off_ends(), LOST)
    assert story.now.resumable == "prediction-7"
    other = story.now.changed({"payload_sha256": "0" * 64})
    assert other.resumable is None


def test_the_last_id_counts() -> None:
    """An attempt that made a call of its own is asked about that call."""
    story = TAKEN.given(failed("prediction_failed", retryable=True), back_off_ends(), note_call("prediction-8"), LOST)
    assert ordered(story.given(back_off_ends())).resume == "prediction-8"


def test_an_answer_ends_it() -> None:
    """Neither a finished run nor a review keeps the id of a call."""
    assert TAKEN.given(executed()).now.resumable is None
    assert completed().now.resumable is None


@pytest.mark.parametrize(
    "story",
    [given(start()), at_payload_review(), calling().given(lease_ends(), lease_ends()), completed()],
    ids=["preparing", "waiting", "given up", "over"],
)
def test_an_id_for_no_call_in_hand_is_refused(story: Story) -> None:
    """A late worker has lost its lease, and cannot replace the id of another attempt's call."""
    story.when(note_call()).refused_with("not_allowed")


def test_a_result_that_a_person_enters_ends_it_too() -> None:
    """The run goes on with that result and makes no call."""
    story = given(start(allowed_steps=("payload_review",), max_attempts=1), prepared(), approve(), note_call(), LOST)
    outcome = story.when(edit({"text": "by hand"}))
    outcome.leaves(state="completed")
