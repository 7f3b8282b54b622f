"""Cancel, pause, resume and retry: what a person can do to a run beside deciding."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contracts.json_values import digest
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.views import State
from orchestrator.runs.state import MOST_EVENTS
from testkit.runs.commands import (
    AT,
    PAYLOAD,
    RESPONSE,
    again,
    approve,
    at_error_review,
    at_information_review,
    at_length,
    at_payload_review,
    at_response_review,
    back_off_ends,
    calling,
    cancel,
    cancelled,
    completed,
    edit,
    executed,
    extend_lease,
    failed,
    lease_ends,
    pause,
    prepared,
    reject,
    rejected,
    resume,
    retry,
    start,
    time_is_up,
)
from testkit.runs.specification import Ask, Story, given, like

OVER: list[Callable[[], Story]] = [completed, rejected, cancelled]
GOING: list[Callable[[], Story]] = [
    lambda: given(start()),
    lambda: given(start(), failed(retryable=True)),
    at_information_review,
    at_payload_review,
    calling,
    lambda: calling().given(failed(retryable=True)),
    at_response_review,
    at_error_review,
]


# ---- cancel


@pytest.mark.parametrize("story", GOING)
@pytest.mark.parametrize("paused", [False, True])
def test_a_run_can_be_cancelled_wherever_it_is(story: Callable[[], Story], *, paused: bool) -> None:
    """The run waits for nothing, and the reason is kept."""
    going = story().given(pause()) if paused else story()
    outcome = going.when(cancel(reason="changed my mind"))
    outcome.then(like(e.RunCancelled, reason="changed my mind"))
    outcome.leaves(state="cancelled", checkpoint=None, pending_actions=(), paused=False)
    assert outcome.story.now.attempt is None


def test_preparations_that_come_after_a_cancellation_are_refused() -> None:
    """The worker's result is refused. `test_cancelled_calls` says what becomes of a call."""
    story = given(start())
    answer = prepared().but(work_id=story.attempt.work_id, attempt=1)
    story.given(cancel()).when(answer).refused_with("not_allowed", state="cancelled")


@pytest.mark.parametrize("story", OVER)
def test_what_is_over_cannot_be_cancelled_paused_or_resumed(story: Callable[[], Story]) -> None:
    """The refusal names the state in which the run ended."""
    state = story().now.view.state.value
    for ask in (cancel(), pause(), resume()):
        story().when(ask).refused_with("not_allowed", state=state)


@pytest.mark.parametrize("story", OVER)
def test_what_is_over_cannot_be_decided(story: Callable[[], Story]) -> None:
    """Approve, edit and reject find no open checkpoint."""
    for ask in (approve(), edit({"a": 1}), reject()):
        story().when(ask).refused_with("not_allowed", state=story().now.view.state.value)


# ---- pause and resume


@pytest.mark.parametrize("step", Step)
def test_a_paused_run_takes_no_decisions(step: Step) -> None:
    """The checkpoint stays open, and only `resume` is offered."""
    story = AT[step]()
    paused = story.when(pause(reason="lunch"))
    paused.then(like(e.RunPaused, reason="lunch")).leaves(paused=True, pending_actions=("resume",))
    assert paused.story.now.view.checkpoint == story.now.view.checkpoint
    for ask in (approve(), edit({"prompt": "x"}), reject(), retry()):
        paused.story.when(ask).refused_with("not_allowed", paused=True, pending_actions=["resume"])


def test_a_run_is_paused_once() -> None:
    """A second pause is refused, and so is a resume without a pause."""
    story = at_payload_review()
    story.given(pause()).when(pause()).refused_with("not_allowed", paused=True)
    story.when(resume()).refused_with("not_allowed", paused=False)


def test_the_time_that_a_pause_took_is_given_back() -> None:
    """A checkpoint has as much time left after the pause as it had before."""
    story = at_payload_review(timeout_seconds=100)
    opened = story.now.view.checkpoint
    assert opened is not None
    paused = story.given(pause())
    assert paused.due is None, "nothing falls due while a run is paused"
    outcome = paused.later(500).when(resume(reason="back"))
    waited = outcome.events[0].at - paused.history[-1].at
    outcome.then(like(e.RunResumed, reason="back", expires_at=opened.expires_at + waited))
    outcome.leaves(
        checkpoint__expires_at=opened.expires_at + waited, paused=False, pending_actions=("approve", "edit", "reject")
    )
    assert outcome.story.due is not None
    assert outcome.story.due.at == opened.expires_at + waited


def test_a_checkpoint_does_not_expire_while_its_run_is_paused() -> None:
    """A time limit that was already on its way is refused, and its command may come again later."""
    story = at_payload_review()
    on_its_way = story.due
    paused = story.given(pause())
    paused.later(5000).when(again(on_its_way)).refused_with("not_allowed", paused=True)
    resumed = paused.later(5000).given(resume())
    resumed.when(again(on_its_way)).refused_with("not_allowed", paused=False)
    resumed.when(time_is_up()).then(e.CheckpointExpired, e.RunFailed)


def test_a_preparation_that_answers_during_a_pause_is_recorded() -> None:
    """The worker's answer is recorded; the review opens when the run goes on."""
    paused = given(start(), pause())
    assert paused.due is not None, "the lease goes on"
    answered = paused.when(prepared())
    answered.then(e.RunPrepared).leaves(paused=True, checkpoint=None, state="created")
    outcome = answered.story.when(resume())
    outcome.then(like(e.RunResumed, expires_at=None), like(e.CheckpointOpened, step=Step.INFORMATION_REVIEW))


def test_a_response_that_arrives_during_a_pause_is_recorded() -> None:
    """The call was paid for: its response is reviewed, or becomes the result, when the run goes on."""
    answered = calling().given(pause()).when(executed())
    answered.then(e.CallSucceeded).leaves(paused=True, result=None)
    answered.story.when(resume()).then(e.RunResumed, like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW))
    automatic = calling(allowed_steps=("payload_review",)).given(pause(), executed())
    automatic.when(resume()).then(e.RunResumed, like(e.RunCompleted, result=RESPONSE))


def test_a_failure_during_a_pause_is_dealt_with_afterwards() -> None:
    """The failure is recorded, and retried or shown when the run goes on."""
    story = calling().given(pause())
    story.given(failed(retryable=True)).when(resume()).then(e.RunResumed, e.RetryScheduled)
    story.given(failed()).when(resume()).then(e.RunResumed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))


def test_a_lease_can_be_extended_and_can_end_during_a_pause() -> None:
    """A pause neither stops the worker nor hides that it died."""
    paused = calling().given(pause())
    paused.when(extend_lease()).then(e.LeaseExtended)
    paused.when(lease_ends()).then(e.CallDoubted)
    paused.given(lease_ends()).when(lease_ends()).then(e.CallFailed)


def test_no_attempt_is_made_while_a_run_is_paused() -> None:
    """A back-off that ends during a pause is made up for when the run goes on."""
    story = calling().given(failed(retryable=True))
    due = story.due
    assert due is not None
    paused = story.given(pause())
    paused.later(1000).when(again(due)).refused_with("not_allowed", paused=True)
    resumed = paused.later(1000).given(resume())
    assert resumed.due == due, "the very same command falls due, and its earlier refusal does not bind it"
    resumed.when(back_off_ends()).then(like(e.CallOrdered, attempt=2))


# ---- retry


def test_only_what_failed_can_be_retried() -> None:
    """A completed or cancelled run stays as it is, and a run that goes on needs no retry."""
    for story in (completed(), cancelled(), at_payload_review(), calling(), given(start())):
        story.when(retry()).refused_with("not_allowed")


def test_a_retry_after_a_failed_call_calls_again_with_what_was_approved() -> None:
    """The approval of the payload stands: no review comes again before the call."""
    story = calling(on_error="fail").given(failed("bad_request"))
    assert story.now.view.state.value == "failed"
    outcome = story.when(retry(reason="fixed the key"))
    outcome.then(
        like(e.RunRetried, reason="fixed the key", checkpoint_id=None),
        like(e.CallOrdered, payload_sha256=digest(PAYLOAD), attempt=1),
    )
    outcome.leaves(state="api_call", error=None)


def test_a_retry_after_a_failed_preparation_prepares_again() -> None:
    """A retry after a failed preparation has attempts of its own."""
    story = given(start(policy="auto", max_attempts=1), failed(retryable=True))
    outcome = story.when(retry())
    outcome.then(e.RunRetried, like(e.PreparationOrdered, attempt=1)).leaves(state="created", error=None)


def test_a_retry_after_an_expired_checkpoint_asks_again() -> None:
    """The checkpoint that expired is opened anew, with a new id and new time."""
    story = at_payload_review()
    outcome = story.given(time_is_up(), retry()).when(prepared())
    opened = outcome.data(e.CheckpointOpened)
    assert (opened.step, opened.checkpoint_id != story.checkpoint_id) == (Step.PAYLOAD_REVIEW, True)
    outcome.story.when(approve(checkpoint_id=story.checkpoint_id)).refused_with("checkpoint_mismatch")


def test_a_run_can_be_retried_more_than_once() -> None:
    """Each failure can be followed by another retry, and each retry has an order of its own."""
    story = rejected()
    works = set()
    for _ in range(3):
        story = story.given(retry())
        works.add(story.attempt.work_id)
        story = story.given(prepared(), reject())
    assert len(works) == 3


def test_retrying_is_no_decision_unless_it_was_asked_for() -> None:
    """`last_approval` stays the rejection when a failed run is retried."""
    rejected().when(retry()).leaves(last_approval__action="reject")


# ---- the most events of a run


def test_a_run_of_very_many_events_can_only_come_to_its_end() -> None:
    """Every reader folds all of them: at 1,000 no pause begins, and what is paused or waits is still decided."""
    story = at_payload_review()
    while story.now.version < MOST_EVENTS:
        story = story.given(pause(), resume())
    story.when(pause()).refused_with("history_too_long")
    assert story.given(reject()).now.view.state is State.CANCELLED
    assert story.given(approve(), executed(), approve()).now.view.state is State.COMPLETED


@pytest.mark.parametrize(
    ("story", "ask", "is_refused"),
    [
        (at_error_review(), retry(), True),
        (at_information_review(), edit({"model": "m"}), True),
        (at_payload_review(), edit({"temperature": 1}), True),
        (at_response_review(), edit({"text": "x"}), False),
        (at_error_review(), edit({"text": "x"}), False),
        (at_information_review(), approve(), False),
        (at_payload_review().given(pause()), resume(), False),
        (calling(), cancel(), False),
    ],
)
def test_what_leads_back_is_refused_and_what_leads_on_is_not(story: Story, ask: Ask, *, is_refused: bool) -> None:
    """One event below the bound, all of it is possible."""
    refusal = at_length(story, MOST_EVENTS).when(ask).refusal
    assert (refusal.code if refusal else None) == ("history_too_long" if is_refused else None)
    assert at_length(story, MOST_EVENTS - 1).when(ask).refusal is None
