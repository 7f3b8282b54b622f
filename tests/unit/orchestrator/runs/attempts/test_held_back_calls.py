"""A call that a budget held back goes to a person, and only a person can let it pass."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.providers.orders import ExecuteOrder
from contracts.providers.signals import Finding, Signals
from contracts.runs import events as e
from contracts.runs.config import OnTimeout, Policy, Step
from testkit.runs.commands import (
    GOOD,
    PAYLOAD,
    approve,
    cancel,
    checked,
    edit,
    executed,
    failed,
    pause,
    prepared,
    reject,
    resume,
    retry,
    start,
    time_is_up,
)
from testkit.runs.specification import Ask, Story, given, like

SPENT = "of the tenant's budget $0 of $1 is left. Nothing was called."
OVER = Finding(check="cost", code="budget_exceeded", message="$0.01 of $1 is left", force=True)

UNWATCHED = start(policy=Policy.AUTO, allowed_steps=("response_review",))
WATCHED = start(policy=Policy.REQUIRE_HUMAN, allowed_steps=("payload_review",))


def _held_back(asked: Ask = UNWATCHED, code: str = "budget_exceeded", *between: Ask) -> Story:
    """Return a run whose call was within the budget when it was prepared, but not when it was to be made."""
    return given(asked, prepared(), *between, failed(code, message=SPENT))


def _called(story: Story) -> ExecuteOrder:
    (order,) = story.orders()
    assert isinstance(order, ExecuteOrder)
    return order


@pytest.mark.parametrize("code", ["budget_exceeded", "cost_unknown"])
@pytest.mark.parametrize("on_error", ["review", "fail"])
def test_a_call_that_a_budget_held_back_goes_to_a_person(code: str, on_error: str) -> None:
    """Under every policy and configuration the payload is reviewed, with the budget's own message."""
    asked = start(policy=Policy.AUTO, allowed_steps=("response_review",), on_error=on_error)
    outcome = given(asked, prepared()).when(failed(code, message=SPENT))
    opened = like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW, reasons__code=(code,), reasons__message=(SPENT,))
    outcome.then(e.CallFailed, opened)
    outcome.leaves(state="payload_review", checkpoint__subject=PAYLOAD)
    assert outcome.story.now.view.checkpoint_context["signals"]["findings"][0]["message"] == SPENT


def test_who_approved_the_payload_is_asked_again() -> None:
    """The approval was for a call within the budget; the policy's own reason comes after the budget's."""
    story = _held_back(WATCHED, "budget_exceeded", approve())
    opened = like(e.CheckpointOpened, reasons__code=("budget_exceeded", "policy_requires_human"))
    assert story.history[-1].data == opened


@pytest.mark.parametrize(
    ("decisions", "payload"),
    [
        ([approve()], PAYLOAD),
        ([edit({"prompt": "x"}), checked(signals=Signals(findings=(OVER,))), approve()], {**PAYLOAD, "prompt": "x"}),
    ],
    ids=["approved", "edited, and too dear all the same"],
)
def test_a_person_lets_it_pass(decisions: list[Ask], payload: dict[str, Any]) -> None:
    """The order carries the approval to the worker's budget gate; the attempts count anew."""
    story = _held_back().given(*decisions)
    order = _called(story)
    assert (order.over_budget_approved, order.attempt) == (True, 1)
    assert order.payload == payload
    assert story.given(executed()).now.view.state == "completed"


def test_a_budget_asks_once() -> None:
    """A gate that still holds the approved call back leads to the error review, not round in circles."""
    asked = start(policy=Policy.AUTO, on_error="review")
    outcome = _held_back(asked).given(approve()).when(failed("budget_exceeded"))
    outcome.then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
    assert _called(outcome.story.given(retry())).over_budget_approved


def test_what_was_approved_over_budget_before_the_call_is_not_asked_about_again() -> None:
    """The person has decided already."""
    story = given(UNWATCHED, prepared(signals=GOOD.changed({"findings": (OVER,)})), approve())
    story.when(failed("budget_exceeded")).then(e.CallFailed, e.RunFailed)


@pytest.mark.parametrize("policy", [Policy.AUTO, Policy.REQUIRE_HUMAN])
def test_silence_spends_nothing_beyond_a_budget(policy: Policy) -> None:
    """Neither a run that approves by timeout is an exception, nor one whose payload was approved so before."""
    asked = start(policy=policy, on_timeout=OnTimeout.APPROVE, allowed_steps=("payload_review",))
    before = [time_is_up()] if policy is Policy.REQUIRE_HUMAN else []
    story = _held_back(asked, "budget_exceeded", *before)
    story.when(time_is_up()).then(e.CheckpointExpired, like(e.RunFailed, error__code="checkpoint_timeout"))


def test_a_refusal_ends_the_run_and_a_retry_begins_anew() -> None:
    """The budget may have room again by then: the call is estimated and checked anew."""
    refused = _held_back().when(reject(reason="too dear"))
    refused.then(e.CheckpointRejected, like(e.RunCancelled, error__code="rejected"))
    story = refused.story.given(retry(), prepared())
    assert not _called(story).over_budget_approved


def test_a_pause_or_an_end_of_the_run_comes_first() -> None:
    """The review waits for the pause to end, and a finished run opens none."""
    paused = given(UNWATCHED, prepared(), pause()).when(failed("budget_exceeded"))
    paused.then(e.CallFailed)
    paused.story.when(resume()).then(e.RunResumed, like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW))
    given(UNWATCHED, prepared(), cancel()).when(failed("budget_exceeded")).then(e.CallStopped)


@pytest.mark.parametrize("failure", [failed("budget_exceeded", uncertain=True), failed("quota_exceeded")])
def test_what_may_have_been_called_or_was_refused_elsewhere_is_no_matter_of_a_budget(failure: Ask) -> None:
    """A person can simply let a call pass only if no call was made."""
    asked = start(policy=Policy.AUTO, on_error="review")
    given(asked, prepared()).when(failure).then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))


def test_a_preparation_that_fails_so_is_a_failure_like_any_other() -> None:
    """Without a payload there is nothing to approve."""
    given(UNWATCHED).when(failed("budget_exceeded")).then(e.PreparationFailed, e.RunFailed)


@pytest.mark.parametrize(
    "ending", [cancel(), reject(reason="too dear"), time_is_up()], ids=["cancelled", "rejected", "expired"]
)
def test_the_end_of_a_run_gives_back_what_is_held_for_its_call(ending: Ask) -> None:
    """Workers are told at once, by the version of the end; a run that is retried holds anew."""
    story = given(start(allowed_steps=("payload_review",)), prepared())
    assert story.releases() == []
    over = story.given(ending)
    (release,) = over.releases(since=story.now.version)
    assert (release.run_id, release.tenant, release.version) == (over.now.run_id, over.now.tenant, over.now.version)
    if "retry" in over.now.view.pending_actions:
        assert over.given(retry()).releases() == []


def test_a_call_that_is_ordered_to_stop_holds_nothing_more() -> None:
    """It may wait for its slot still, with nothing counted but its hold."""
    story = given(UNWATCHED, prepared()).given(cancel())
    assert len(story.stops()) == 1
    assert len(story.releases()) == 1


def test_a_run_that_completes_has_given_its_hold_back_before() -> None:
    """As its call was counted."""
    assert given(UNWATCHED, prepared(), executed()).releases() == []
