"""A pause holds a call that was ordered and has not begun. One that has begun goes on."""

from __future__ import annotations

from decimal import Decimal

from contracts.providers.call import Ending
from contracts.runs import events as e
from testkit.runs.commands import (
    at_payload_review,
    calling,
    cancel,
    executed,
    held,
    lease_ends,
    note_call,
    pause,
    resume,
    stopped,
)
from testkit.runs.specification import like


def test_a_pause_asks_for_the_order_of_the_call_back() -> None:
    """Every worker hears of it, by the attempt."""
    story = calling().given(pause())
    (hold,) = story.holds()
    assert (hold.work_id, hold.attempt, hold.provider) == (story.attempt.work_id, 1, "sandbox")
    assert calling().holds() == at_payload_review().given(pause()).holds() == []


def test_a_call_that_was_given_back_waits_for_the_run_to_go_on() -> None:
    """Nothing was called and nothing spent; resuming orders it anew, with the approved bytes and attempts of its own."""
    before = calling()
    outcome = before.given(pause()).when(held())
    outcome.then(like(e.CallStopped, ending=Ending.NOT_BEGUN, spent__cost=Decimal(0)))
    outcome.leaves(state="api_call", paused=True, pending_actions=("resume",), waits_for=None)
    assert (outcome.story.now.attempt, outcome.story.holds(), outcome.story.orders()) == (None, [], [])
    resumed = outcome.story.when(resume())
    resumed.then(e.RunResumed, like(e.CallOrdered, attempt=1, payload_sha256=before.now.payload_sha256))
    assert resumed.story.attempt.work_id != before.attempt.work_id


def test_a_call_that_is_given_back_after_the_run_went_on_is_ordered_at_once() -> None:
    """The run was resumed while the pause was on its way to the worker."""
    calling().given(pause(), resume()).when(held()).then(e.CallStopped, e.CallOrdered)


def test_a_call_that_has_begun_is_answered_during_the_pause() -> None:
    """It was paid for: the answer counts, and is reviewed when the run goes on."""
    story = calling().given(pause(), executed())
    story.when(resume()).then(e.RunResumed, e.CheckpointOpened)


def test_a_call_that_the_provider_knows_is_not_asked_back() -> None:
    """It has begun, wherever its worker is."""
    assert calling().given(note_call(), pause()).holds() == []


def test_a_call_that_no_worker_answers_is_doubted_during_the_pause_too() -> None:
    """The pause is heard of by the worker that finds the second order, which then gives it back."""
    story = calling().given(pause(), lease_ends())
    assert isinstance(story.history[-1].data, e.CallDoubted)
    story.when(held()).then(e.CallStopped).leaves(paused=True)


def test_a_cancelled_run_has_its_held_call_stopped() -> None:
    """A cancellation during the pause is stronger than the hold."""
    story = calling().given(pause(), cancel())
    assert (len(story.stops()), story.holds()) == (1, [])
    story.when(held()).then(like(e.CallStopped, ending=Ending.NOT_BEGUN))


def test_only_a_call_that_was_not_begun_is_given_back() -> None:
    """A worker that stopped a call without being asked to changes nothing."""
    calling().given(pause()).when(stopped()).refused_with("not_allowed")
