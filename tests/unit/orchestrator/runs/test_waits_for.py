"""The view says what a run waits for, since when, and until when."""

from __future__ import annotations

from typing import Any

from contracts.runs.views import Wait
from testkit.runs.commands import (
    approve,
    at_payload_review,
    back_off_ends,
    calling,
    cancel,
    checked,
    completed,
    edit,
    executed,
    extend_lease,
    failed,
    note_call,
    pause,
    prepared,
    resume,
    start,
)
from testkit.runs.specification import Story, given


def _waits(story: Story) -> Wait:
    waits_for = story.now.view.waits_for
    assert waits_for is not None, "it waits for nothing"
    return waits_for


def _whats(story: Story, *asks: Any) -> list[str]:
    found: list[str] = [_waits(story).what]
    for ask in asks:
        story = story.given(ask)
        found.append(_waits(story).what)
    return found


def test_a_run_says_for_what_it_waits_at_each_stage() -> None:
    """A worker that prepares, a person, a worker that checks, one that calls, and a person again."""
    asks = (prepared(), edit({"temperature": 1}), checked(), executed())
    assert _whats(given(start(allowed_steps=("payload_review", "response_review"))), *asks) == [
        "preparation",
        "decision",
        "check",
        "call",
        "decision",
    ]


def test_a_decision_is_awaited_until_its_time_is_up() -> None:
    """Since the review opened; a pause gives its time back."""
    story = at_payload_review(timeout_seconds=60)
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    assert (_waits(story).since, _waits(story).until) == (checkpoint.opened_at, checkpoint.expires_at)
    resumed = story.given(pause()).later(30).given(resume())
    assert resumed.now.view.checkpoint is not None
    assert _waits(resumed).until == resumed.now.view.checkpoint.expires_at != checkpoint.expires_at


def test_a_call_that_waits_for_a_limit_says_so_and_since_when() -> None:
    """As its worker reports, until it has begun."""
    limited = calling().later(5).given(extend_lease(waits_for="limit"))
    assert (_waits(limited).what, _waits(limited).since) == ("limit", limited.now.updated_at)
    still = limited.later(5).given(extend_lease(waits_for="limit"))
    assert _waits(still) == _waits(limited)
    begun = still.later(5).given(extend_lease())
    assert (_waits(begun).what, _waits(begun).since) == ("call", begun.now.updated_at)
    assert _waits(begun.given(note_call())) == _waits(begun)


def test_a_retry_is_awaited_until_it_is_due() -> None:
    """After a failure that is tried again."""
    story = calling().given(failed(retryable=True))
    assert (_waits(story).what, _waits(story).until) == ("retry", story.attempt.retry_at)
    assert _waits(story.given(back_off_ends())).what == "call"


def test_a_run_that_is_over_waits_for_nothing() -> None:
    """Completed or cancelled."""
    for story in (completed(), at_payload_review().given(cancel())):
        assert story.now.view.waits_for is None


def test_an_approval_ends_the_wait_for_it() -> None:
    """What follows is awaited since then."""
    story = at_payload_review().later(9).given(approve())
    assert (_waits(story).what, _waits(story).since) == ("call", story.now.updated_at)
