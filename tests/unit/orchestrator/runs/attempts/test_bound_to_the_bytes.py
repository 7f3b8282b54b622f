"""An approval is bound to the bytes that were seen: a call sends these bytes, or the payload is reviewed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.json_values import digest
from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import (
    AT,
    PAYLOAD,
    PAYLOAD_SCHEMA,
    approve,
    approve_as_seen,
    at_error_review,
    at_payload_review,
    back_off_ends,
    calling,
    edit,
    failed,
    prepared,
    reject,
    retry,
    start,
    time_is_up,
)
from testkit.runs.specification import Story, given, like

ALTERED = {**PAYLOAD, "prompt": "something else"}


@pytest.mark.parametrize("step", [Step.INFORMATION_REVIEW, Step.PAYLOAD_REVIEW, Step.RESPONSE_REVIEW])
def test_an_approval_of_the_bytes_that_wait_takes_effect(step: Step) -> None:
    """The event says which bytes were approved."""
    story = AT[step]()
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    outcome = story.when(approve_as_seen())
    assert outcome.events[0].data == e.CheckpointApproved(
        checkpoint_id=checkpoint.checkpoint_id, step=step, subject_sha256=digest(checkpoint.subject)
    )


@pytest.mark.parametrize("step", Step)
def test_a_decision_on_other_bytes_is_refused(step: Step) -> None:
    """Approve, edit and reject alike; the refusal names the digest that waits."""
    story = AT[step]()
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    for ask in (approve(), edit({"prompt": "x"}), reject()):
        if ask.kind.__name__.startswith("Approve") and step is Step.ERROR_REVIEW:
            continue
        outcome = story.when(ask.but(subject_sha256="0" * 64))
        outcome.refused_with("subject_changed", subject_sha256=checkpoint.subject_sha256)


def test_an_approval_of_the_bytes_before_the_edit_is_refused() -> None:
    """The edited subject is approved; the digest of the old one is worth nothing."""
    outcome = at_payload_review().when(edit({"temperature": 1}))
    edited = outcome.data(e.CheckpointEdited)
    assert edited.subject_sha256 == digest({**PAYLOAD, "temperature": 1}) != digest(PAYLOAD)


def test_a_payload_that_is_not_what_was_approved_goes_back_to_review() -> None:
    """The digest is checked when the call is ordered, whatever changed the payload; a new approval lets it go."""
    story = _altered(at_error_review())
    outcome = story.when(retry())
    outcome.then(
        e.RunRetried,
        like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW, subject=ALTERED, reasons__code=("subject_changed",)),
    )
    outcome.leaves(checkpoint__subject_schema=PAYLOAD_SCHEMA, checkpoint__subject_sha256=digest(ALTERED))
    after = outcome.story.when(approve_as_seen())
    after.then(e.CheckpointApproved, like(e.CallOrdered, payload_sha256=digest(ALTERED)))


def test_the_next_attempt_of_a_call_is_checked_too() -> None:
    """An attempt after a back-off is checked like the first one."""
    story = _altered(calling().given(failed(retryable=True)))
    outcome = story.when(back_off_ends())
    outcome.then(like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW, reasons__code=("subject_changed",)))
    outcome.leaves(state="payload_review")
    assert outcome.story.due is not None
    assert outcome.story.due.kind == "expire-checkpoint.v1", "the clock waits for the person, not for the attempt"
    outcome.story.when(approve()).then(e.CheckpointApproved, like(e.CallOrdered, attempt=1))


def test_a_payload_that_policy_let_pass_is_not_held_to_an_approval() -> None:
    """Policy approved no bytes, so none can differ; the order still carries the digest of its payload."""
    outcome = given(start(policy="auto")).when(prepared())
    assert outcome.data(e.CallOrdered).payload_sha256 == digest(PAYLOAD)


def test_an_approval_by_a_time_limit_is_bound_too() -> None:
    """The time limit approves the bytes that were shown, and only these are sent."""
    story = at_payload_review(on_timeout="approve").given(time_is_up(), failed())
    _altered(story).when(retry()).then(e.RunRetried, like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW))


def test_an_approval_does_not_outlive_the_payload_it_was_for() -> None:
    """A payload that is prepared anew after a rejection needs an approval of its own."""
    story = at_payload_review().given(reject(), retry(), prepared(payload=ALTERED))
    story.when(approve_as_seen()).then(e.CheckpointApproved, like(e.CallOrdered, payload_sha256=digest(ALTERED)))


def _altered(story: Story) -> Story:
    """Return the story with a payload that was never approved: no command leads there, so the check is tested here."""
    return replace(story, run=replace(story.now, payload=ALTERED), checked=False)
