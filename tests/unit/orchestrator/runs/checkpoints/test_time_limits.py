"""A checkpoint has a time limit, and a configured answer when it passes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.json_values import digest
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import OnTimeout, Step
from testkit.runs.commands import (
    AT,
    PAYLOAD,
    again,
    approve,
    at_error_review,
    at_payload_review,
    calling,
    failed,
    issue,
    prepared,
    start,
    time_is_up,
)
from testkit.runs.specification import given, like


@pytest.mark.parametrize("step", Step)
def test_a_checkpoint_is_due_when_its_time_is_over(step: Step) -> None:
    """The limit is `timeout_seconds` after the checkpoint was opened."""
    story = AT[step](timeout_seconds=120)
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    assert story.due is not None
    assert story.due.at == checkpoint.expires_at == checkpoint.opened_at + timedelta(seconds=120)


def test_before_its_time_a_checkpoint_does_not_expire() -> None:
    """Early by a microsecond is refused; the exact time counts."""
    story = at_payload_review()
    assert story.due is not None
    early = time_is_up().but(at=story.due.at - timedelta(microseconds=1))
    story.when(early).refused_with("not_allowed")
    story.when(time_is_up()).then(e.CheckpointExpired, e.RunFailed)


@pytest.mark.parametrize("step", Step)
def test_fail_fails_the_run(step: Step) -> None:
    """The error says that the time limit passed, and at which step."""
    outcome = AT[step](on_timeout="fail", timeout_seconds=90).when(time_is_up())
    outcome.then(
        like(e.CheckpointExpired, step=step, on_timeout=OnTimeout.FAIL),
        like(e.RunFailed, error__code="checkpoint_timeout", error__step=step),
    )
    outcome.leaves(state="failed", checkpoint=None, pending_actions=("retry",))
    assert outcome.story.now.view.error is not None
    assert outcome.story.now.view.error.message == "no decision came within 90 s"


@pytest.mark.parametrize("step", Step)
def test_cancel_cancels_the_run(step: Step) -> None:
    """The reason says that the time limit passed."""
    outcome = AT[step](on_timeout="cancel").when(time_is_up())
    outcome.then(like(e.CheckpointExpired, on_timeout=OnTimeout.CANCEL), e.RunCancelled)
    outcome.leaves(state="cancelled", checkpoint=None, pending_actions=())


@pytest.mark.parametrize(
    ("step", "then"),
    [
        (Step.INFORMATION_REVIEW, e.CheckpointOpened),
        (Step.PAYLOAD_REVIEW, e.CallOrdered),
        (Step.RESPONSE_REVIEW, e.RunCompleted),
    ],
)
def test_approve_approves_what_was_shown(step: Step, then: type[e.Event]) -> None:
    """The approval is the system's, its comment says so, and the run goes on as after any approval."""
    story = AT[step](on_timeout="approve")
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    outcome = story.when(time_is_up())
    approved = like(
        e.CheckpointApproved, subject_sha256=checkpoint.subject_sha256, step=step, comment="approved by timeout"
    )
    outcome.then(approved, then)
    outcome.leaves(last_approval__action="approve", last_approval__actor="system")


def test_approve_does_not_approve_a_payload_with_errors() -> None:
    """The time limit cannot approve a subject that a person could not approve."""
    story = given(start(allowed_steps=("payload_review",), on_timeout="approve"), prepared(issues=(issue(),)))
    story.when(time_is_up()).then(
        like(e.CheckpointExpired, on_timeout=OnTimeout.APPROVE), like(e.RunFailed, error__code="checkpoint_timeout")
    )


def test_approve_does_not_approve_an_error() -> None:
    """An error review has no subject to approve."""
    at_error_review(on_timeout="approve").when(time_is_up()).then(e.CheckpointExpired, e.RunFailed)


@pytest.mark.parametrize("step", Step)
def test_escalate_asks_once_more_and_then_fails(step: Step) -> None:
    """The same checkpoint gets its time again, once."""
    story = AT[step](on_timeout="escalate", timeout_seconds=60)
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    first = story.when(time_is_up())
    first.then(like(e.CheckpointEscalated, step=step, checkpoint_id=checkpoint.checkpoint_id))
    again_until = checkpoint.expires_at + timedelta(seconds=60)
    first.leaves(checkpoint__escalations=1, checkpoint__expires_at=again_until, checkpoint__subject=checkpoint.subject)
    assert isinstance(first.story.due, c.ExpireCheckpoint)
    assert (first.story.due.at, first.story.due.escalations) == (again_until, 1)
    second = first.story.when(time_is_up())
    second.then(
        like(e.CheckpointExpired, on_timeout=OnTimeout.ESCALATE), like(e.RunFailed, error__code="checkpoint_timeout")
    )


def test_an_escalated_checkpoint_can_be_decided() -> None:
    """Its id and digest stay the same."""
    story = at_payload_review(on_timeout="escalate")
    ask = approve(checkpoint_id=story.checkpoint_id, subject_sha256=digest(PAYLOAD))
    story.given(time_is_up()).when(ask).then(e.CheckpointApproved, e.CallOrdered)


def test_the_first_time_limit_that_comes_again_does_not_count_as_the_second() -> None:
    """A deadline may fire twice, under another id too."""
    story = at_payload_review(on_timeout="escalate")
    due = story.due
    escalated = story.given(time_is_up())
    escalated.when(again(due)).then()
    twin = again(due).but(command_id=story.checkpoint_id)
    escalated.when(twin).refused_with("not_allowed", state="payload_review")


def test_a_time_limit_that_comes_after_the_decision_is_refused() -> None:
    """The refusal changes nothing, not the next checkpoint either."""
    story = at_payload_review()
    due = story.due
    calls = story.given(approve())
    calls.when(again(due)).refused_with("not_allowed", state="api_call")
    calls.given(failed()).when(again(due)).refused_with("not_allowed")


def test_each_checkpoint_has_time_of_its_own() -> None:
    """Time that one checkpoint took is not missing at the next."""
    story = calling(timeout_seconds=50).later(5000).given(failed())
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    assert checkpoint.expires_at - checkpoint.opened_at == timedelta(seconds=50)
