"""A run whose payload goes to nobody is prepared and called in one order: what is asked of the worker, and what its silence means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contracts.json_values import digest
from contracts.providers.call import Ending
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.providers.signals import Finding, Signals
from contracts.runs import events as e
from testkit.runs.commands import (
    PAYLOAD,
    at_payload_review,
    back_off_ends,
    cancel,
    executed,
    extend_lease,
    failed,
    handed_back,
    held,
    issue,
    lease_ends,
    note_call,
    pause,
    prepared,
    resume,
    retry,
    start,
    stopped,
)
from testkit.runs.specification import Story, given, like

AUTO: dict[str, Any] = {"policy": "auto"}
FOUND = Signals(findings=(Finding(check="pii", code="pii_found", message="an address"),))


def begun(**hitl: Any) -> Story:
    """Return a run that is being prepared, and called by the worker that prepares it."""
    return given(start(**{**AUTO, **hitl}))


def calling(**hitl: Any) -> Story:
    """Return a run whose worker has said that it calls."""
    return begun(**hitl).given(prepared(in_one=True))


@pytest.mark.parametrize(
    ("hitl", "in_one"),
    [
        (AUTO, True),
        ({"policy": "require_human", "allowed_steps": ("response_review",)}, True),
        ({"policy": "auto_with_thresholds", "allowed_steps": ("response_review",)}, True),
        ({"policy": "auto_with_thresholds"}, False),
        ({"policy": "require_human", "allowed_steps": ("information_review",)}, False),
        ({"policy": "require_human", "allowed_steps": ("payload_review",)}, False),
    ],
)
def test_a_worker_calls_too_where_the_payload_goes_to_nobody(hitl: dict[str, Any], *, in_one: bool) -> None:
    """Whatever its policy: what counts is whether a review of intent or payload can stop the run."""
    (order,) = given(start(**hitl)).orders()
    assert isinstance(order, PrepareOrder)
    assert order.in_one is in_one


def test_a_preparation_that_is_called_at_once_is_recorded_as_any_other() -> None:
    """With the steps that it passes, and the intent to call these bytes; no order is given for the call."""
    outcome = begun().when(prepared(in_one=True))
    outcome.then(
        e.RunPrepared,
        like(e.StepPassed, step="information_review", reasons__code=("policy_auto",)),
        like(e.StepPassed, step="payload_review", reasons__code=("policy_auto",)),
        like(e.CallOrdered, work_id=begun().attempt.work_id, attempt=1, payload_sha256=digest(PAYLOAD), in_one=True),
    )
    outcome.leaves(state="api_call", waits_for__what="call", provider="sandbox")
    assert outcome.story.orders() == []
    assert outcome.story.given(executed()).now.view.state == "completed"


def test_steps_that_are_not_allowed_are_passed_in_silence() -> None:
    """As on the ordinary way; the response is reviewed as ever."""
    story = given(start(policy="require_human", allowed_steps=("response_review",)))
    outcome = story.when(prepared(in_one=True)).then(e.RunPrepared, e.CallOrdered)
    outcome.story.when(executed()).leaves(state="response_review")


def test_what_is_in_question_goes_the_ordinary_way() -> None:
    """The worker tells the payload and does not call: the run mends, asks or orders the call under an id of its own."""
    story = begun().given(prepared())
    (order,) = story.orders()
    assert isinstance(order, ExecuteOrder)
    assert order.work_id != begun().attempt.work_id
    begun().when(prepared(issues=(issue(),))).leaves(state="failed")


@pytest.mark.parametrize(
    ("story", "answer"),
    [
        (begun(), {"signals": FOUND}),
        (begun(), {"issues": (issue(),)}),
        (given(start()), {}),
        (begun().given(prepared()), {}),
    ],
    ids=["a finding", "an issue", "a run that asks", "prepared before"],
)
def test_a_call_that_nobody_ordered_is_not_recorded_as_ordered(story: Story, answer: dict[str, Any]) -> None:
    """No worker says so; if one did, the run would go on as if it had said nothing."""
    story.when(prepared(in_one=True, **answer)).refused_with("not_allowed")


def test_only_the_first_order_prepares_and_calls() -> None:
    """A repetition follows a failure, and a retry a person's look at the run."""
    again = begun().given(failed(retryable=True)).later(3)
    retried = again.given(back_off_ends())
    (order,) = retried.orders()
    assert isinstance(order, PrepareOrder)
    assert (order.attempt, order.in_one) == (2, False)
    (order,) = begun().given(failed(), retry()).orders()
    assert isinstance(order, PrepareOrder)
    assert not order.in_one


def test_a_call_that_fails_is_repeated_by_an_order_of_its_own() -> None:
    """With the bytes that were prepared, and the next attempt."""
    story = calling().given(failed(retryable=True)).later(3)
    (order,) = story.given(back_off_ends()).orders()
    assert isinstance(order, ExecuteOrder)
    assert (order.attempt, order.payload) == (2, PAYLOAD)


def test_silence_before_the_payload_is_known_is_doubted() -> None:
    """The worker may be about to call: the same order goes out again, for a worker that finds out whether it is claimed."""
    outcome = begun().when(lease_ends())
    outcome.then(like(e.CallDoubted, work_id=begun().attempt.work_id, attempt=1))
    (order,) = outcome.story.orders()
    assert isinstance(order, PrepareOrder)
    assert (order.work_id, order.attempt, order.doubted, order.in_one) == (begun().attempt.work_id, 1, True, True)
    found = outcome.story.when(prepared())
    assert isinstance(found.story.orders()[0], ExecuteOrder), "nobody had claimed it: the run orders the call itself"


def test_a_doubted_order_that_was_claimed_goes_to_a_person() -> None:
    """The call may have happened, and what was called is not known."""
    lost = failed("worker_lost", retryable=True, uncertain=True)
    outcome = begun().given(lease_ends()).when(lost)
    outcome.then(like(e.PreparationFailed), like(e.CheckpointOpened, reasons__code=("call_uncertain",)))
    (order,) = outcome.story.given(retry()).orders()
    assert isinstance(order, PrepareOrder)
    begun(on_uncertain="fail").given(lease_ends()).when(lost).leaves(state="failed", error__code="worker_lost")
    begun().given(lease_ends()).when(prepared(in_one=True)).leaves(state="api_call")


def test_silence_of_the_worker_that_calls_is_doubted_as_any_call_is() -> None:
    """By then its bytes are known."""
    outcome = calling().given(extend_lease()).when(lease_ends())
    outcome.then(e.CallDoubted)
    (order,) = outcome.story.orders()
    assert isinstance(order, ExecuteOrder)
    assert (order.work_id, order.attempt, order.doubted) == (begun().attempt.work_id, 1, True)
    (order,) = calling().given(note_call("p"), lease_ends()).later(3).given(back_off_ends()).orders()
    assert isinstance(order, ExecuteOrder)
    assert order.resume == "p"


def test_a_cancelled_run_stops_a_call_that_it_never_heard_of() -> None:
    """Its worker may be calling: what it says of the call, and what that cost, is recorded."""
    story = begun().given(cancel())
    (stop,) = story.stops()
    assert (stop.work_id, stop.attempt, stop.provider) == (begun().attempt.work_id, 1, "sandbox")
    story.when(executed(cost=Decimal(2))).then(like(e.CallStopped, ending=Ending.COMPLETED, spent__cost=Decimal(2)))
    story.when(stopped()).then(like(e.CallStopped, ending=Ending.STOPPED))
    story.when(prepared()).then(like(e.CallStopped, ending=Ending.NOT_BEGUN, spent__cost=Decimal(0)))
    story.when(lease_ends()).then(like(e.CallStopped, ending=Ending.UNKNOWN))


def test_a_cancelled_run_records_what_is_called_all_the_same() -> None:
    """The bytes, and who got them: a call that the provider accepted is stopped there, and not where the request asked for it."""
    story = given(start({"provider": "the cheapest"}, **AUTO), cancel())
    outcome = story.when(prepared(in_one=True)).then(like(e.RunPrepared, preparation__payload=PAYLOAD))
    outcome.leaves(state="cancelled", provider="sandbox", error=None)
    *_, stop = outcome.story.given(note_call("p")).stops()
    assert (stop.provider, stop.provider_call_id) == ("sandbox", "p")
    over = outcome.story.given(stopped())
    over.when(executed()).refused_with("not_allowed")


def test_a_paused_run_takes_a_call_back_that_has_not_begun() -> None:
    """Before its payload is known, it is prepared again when the run goes on; after that, it is ordered."""
    paused = begun().given(pause())
    (hold,) = paused.holds()
    assert (hold.work_id, hold.provider) == (begun().attempt.work_id, "sandbox")
    (order,) = paused.given(held(), resume()).orders()
    assert isinstance(order, PrepareOrder)
    known = paused.given(prepared(in_one=True), held())
    assert (known.now.attempt, known.now.view.paused) == (None, True)
    (order,) = known.given(resume()).orders()
    assert isinstance(order, ExecuteOrder)


def test_a_preparation_alone_is_no_call_to_give_back() -> None:
    """Only what may be called has an end."""
    given(start()).when(held()).refused_with("not_allowed")
    at_payload_review().when(handed_back()).refused_with("not_allowed")
