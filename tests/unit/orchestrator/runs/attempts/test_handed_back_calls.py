"""A call that a worker has no room for is handed back before it began, and ordered again a little later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.providers.call import Ending
from contracts.providers.orders import ExecuteOrder
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.views import Wait
from testkit.runs.commands import (
    again,
    approve,
    at_payload_review,
    back_off_ends,
    calling,
    cancel,
    executed,
    failed,
    handed_back,
    lease_ends,
    note_call,
    pause,
    prepared,
    resume,
    start,
)
from testkit.runs.specification import Ask, Story, given, like


def test_a_call_that_is_handed_back_is_ordered_again_after_its_pause() -> None:
    """The same bytes and the same attempt under an order of its own: the one that was handed back can be begun by no worker."""
    before = calling()
    outcome = before.when(handed_back(8.0))
    outcome.then(like(e.RetryScheduled, attempt=1, waits_for="limit"))
    scheduled = outcome.data(e.RetryScheduled)
    assert timedelta(seconds=8) <= scheduled.retry_at - outcome.events[-1].at <= timedelta(seconds=10)
    assert (scheduled.work_id != before.attempt.work_id, outcome.story.orders()) == (True, [])
    ordered = outcome.story.when(back_off_ends())
    ordered.then(like(e.CallOrdered, attempt=1, work_id=scheduled.work_id, payload_sha256=before.now.payload_sha256))
    ordered.story.when(executed()).then(e.CallSucceeded, e.CheckpointOpened)


def test_the_run_says_that_it_waits_for_a_limit_and_until_when() -> None:
    """A person who looks sees why nothing happens."""
    story = calling().given(handed_back())
    record = story.history[-1]
    assert isinstance(record.data, e.RetryScheduled)
    assert story.now.view.waits_for == Wait(what="limit", since=record.at, until=record.data.retry_at)
    assert story.now.view.state == "api_call"


def test_handing_back_uses_no_attempt_up() -> None:
    """A call may be handed back more often than it may fail, before and after a failure."""
    story = given(start(allowed_steps=("payload_review",), max_attempts=2), prepared(), approve())
    for _ in range(5):
        story = story.given(handed_back(), back_off_ends())
    story = story.given(failed(retryable=True), back_off_ends(), handed_back(), back_off_ends())
    assert story.attempt.number == 2
    story.when(failed(retryable=True)).then(e.CallFailed, e.CheckpointOpened)


def test_an_order_that_was_handed_back_is_answered_by_nothing_any_more() -> None:
    """The same words twice, and an answer to the order that no worker may have begun."""
    story = calling()
    handed = story.when(handed_back())
    handed.story.when(again(handed.command)).then()
    ordered = handed.story.given(back_off_ends())
    ordered.when(again(handed.command)).then()
    lost = Ask(c.RecordStop, lambda _: {"work_id": story.attempt.work_id, "attempt": 1, "ending": Ending.NOT_BEGUN})
    ordered.when(lost).refused_with("not_allowed")


def test_a_pause_holds_the_next_order_too() -> None:
    """Its time passes, and it is ordered when the run goes on."""
    story = calling().given(handed_back())
    early = story.when(back_off_ends()).command
    paused = story.given(pause())
    paused.when(again(early)).refused_with("not_allowed")
    paused.given(resume()).when(back_off_ends()).then(e.CallOrdered)


def test_a_paused_run_takes_its_call_back_either_way() -> None:
    """The worker had no room before it heard of the pause."""
    story = calling().given(pause(), handed_back())
    assert story.orders() == []
    story.given(resume()).when(back_off_ends()).then(e.CallOrdered)


def test_a_cancelled_run_orders_nothing_again() -> None:
    """While it waits for its time, and while the order was on its way."""
    assert calling().given(handed_back(), cancel()).now.attempt is None
    calling().given(cancel()).when(handed_back()).then(like(e.CallStopped, ending=Ending.NOT_BEGUN))


def test_a_call_that_the_provider_knows_stays_known() -> None:
    """The next order asks for its end, and makes no second call."""
    story = calling().given(
        note_call("prediction-7"), failed("timeout", retryable=True, uncertain=True), back_off_ends(), handed_back()
    )
    (order,) = story.when(back_off_ends()).story.orders()
    assert isinstance(order, ExecuteOrder)
    assert order.resume == "prediction-7"


@pytest.mark.parametrize("before", [at_payload_review(), calling().given(lease_ends(), executed())])
def test_only_a_call_that_is_ordered_is_handed_back(before: Story) -> None:
    """A worker that is late, or astray, moves nothing."""
    before.when(handed_back()).refused_with("not_allowed")
