"""Of several decisions on one checkpoint exactly one takes effect, and the others learn which."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from contracts.json_values import MAX_DEPTH
from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import (
    AT,
    again,
    approve,
    approve_as_seen,
    at_error_review,
    at_payload_review,
    at_response_review,
    cancel,
    edit,
    executed,
    pause,
    prepared,
    reject,
    resume,
    retry,
    time_is_up,
)
from testkit.runs.specification import Ask, Story, like

KEY = {"command_id": UUID(int=0xBEEF), "request_sha256": "a" * 64}
_DECISIONS = ("approve", "edit", "reject")
EDITS: dict[Step, dict[str, Any]] = {
    Step.INFORMATION_REVIEW: {"prompt": "another"},
    Step.PAYLOAD_REVIEW: {"temperature": 1},
    Step.RESPONSE_REVIEW: {"text": "another"},
    Step.ERROR_REVIEW: {"text": "another"},
}


@pytest.mark.parametrize(
    ("step", "winner", "loser"),
    [
        (step, winner, loser)
        for step in Step
        for winner in _DECISIONS
        for loser in _DECISIONS
        if step is not Step.ERROR_REVIEW or "approve" not in (winner, loser)
    ],
)
def test_the_loser_learns_the_winners_decision(step: Step, winner: str, loser: str) -> None:
    """The refusal says who decided what and when, at every step, whichever decision came first."""
    story = AT[step]()
    checkpoint_id = story.checkpoint_id
    asks = {"approve": approve(), "edit": edit(EDITS[step]), "reject": reject()}
    won = story.when(asks[winner].but(checkpoint_id=checkpoint_id, actor="bob"))
    lost = won.story.when(asks[loser].but(checkpoint_id=checkpoint_id))
    lost.refused_with("checkpoint_already_decided")
    decision = lost.details["decision"]
    assert (decision["actor"], decision["action"], decision["step"]) == ("bob", winner, step.value)
    assert decision["checkpoint_id"] == str(checkpoint_id)
    assert decision["at"] == won.command.model_dump(mode="json")["at"]


def test_the_loser_who_names_the_bytes_alone_learns_it_too() -> None:
    """At once, and when the next checkpoint waits: the digest tells which decision came first."""
    story = at_payload_review()
    shown = sha_of(story)
    for then in (story.given(reject()), story.given(approve(), executed())):
        refused = then.when(approve(subject_sha256=shown)).refused_with("checkpoint_already_decided")
        assert refused.refusal is not None
        assert refused.refusal.details["decision"]["subject_sha256"] == shown


def test_of_bytes_that_were_decided_more_than_once_the_loser_learns_the_last_decision() -> None:
    """A call that is prepared again may be the same."""
    story = at_payload_review()
    again_asked = story.given(reject(), retry(), prepared())
    checkpoint = again_asked.now.view.checkpoint
    assert checkpoint is not None
    assert checkpoint.subject_sha256 == sha_of(story)
    decided = again_asked.given(approve(actor="bo"), executed())
    refused = decided.when(approve(subject_sha256=sha_of(story))).refused_with("checkpoint_already_decided")
    assert refused.refusal is not None
    decision = refused.refusal.details["decision"]
    assert (decision["action"], decision["actor"]) == ("approve", "bo")


def sha_of(story: Story) -> str:
    """Return the digest of what waits."""
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    return checkpoint.subject_sha256


def test_the_loser_learns_it_also_when_the_run_has_moved_on() -> None:
    """A late click must not decide the next checkpoint."""
    story = at_payload_review()
    first = story.checkpoint_id
    at_response = story.given(approve(), executed())
    at_response.when(reject(checkpoint_id=first)).refused_with("checkpoint_already_decided")
    over = at_response.given(approve())
    over.when(reject(checkpoint_id=first)).refused_with("checkpoint_already_decided")


def test_the_loser_learns_of_a_time_limit_that_approved() -> None:
    """An approval by timeout is a decision too."""
    story = at_payload_review(on_timeout="approve")
    lost = story.given(time_is_up()).when(reject(checkpoint_id=story.checkpoint_id))
    lost.refused_with("checkpoint_already_decided")
    assert lost.details["decision"]["actor"] == "system"


def test_the_loser_learns_of_a_retry() -> None:
    """A retry at an error review decides it like any other decision."""
    story = at_error_review()
    outcome = story.given(retry()).when(edit({"text": "x"}, checkpoint_id=story.checkpoint_id))
    outcome.refused_with("checkpoint_already_decided")


def test_a_diff_as_deep_as_an_edit_may_be_still_reaches_the_loser() -> None:
    """The winner's decision carries its diff, and the refusal must still fit a record."""
    deep: object = 1
    for _ in range(MAX_DEPTH - len(["body", "edits", "parameters"])):
        deep = {"x": deep}
    story = AT[Step.INFORMATION_REVIEW]()
    won = story.given(edit({"parameters": {"deep": deep}}))
    won.when(approve(checkpoint_id=story.checkpoint_id)).refused_with("checkpoint_already_decided")


def test_a_checkpoint_that_closed_undecided_has_no_winner_to_name() -> None:
    """It expired, or the run was cancelled: the refusal says how the run stands."""
    story = at_payload_review()
    named = approve(checkpoint_id=story.checkpoint_id)
    story.given(time_is_up()).when(named).refused_with("not_allowed", state="failed", pending_actions=["retry"])
    story.given(cancel()).when(named).refused_with("not_allowed", state="cancelled", pending_actions=[])


def test_naming_another_checkpoint_decides_nothing() -> None:
    """The refusal names the open checkpoint."""
    story = at_payload_review()
    outcome = story.when(approve(checkpoint_id=UUID(int=5)))
    outcome.refused_with("checkpoint_mismatch", checkpoint_id=str(story.checkpoint_id), step="payload_review")


def test_without_a_name_the_open_checkpoint_is_meant() -> None:
    """`checkpoint_id` is optional; without an open checkpoint the decision is refused."""
    story = at_payload_review()
    approved = story.when(approve())
    approved.then(like(e.CheckpointApproved, checkpoint_id=story.checkpoint_id), e.CallOrdered)
    approved.story.when(approve()).refused_with("not_allowed", state="api_call", pending_actions=[])


@pytest.mark.parametrize(
    ("story", "ask", "effect"),
    [
        (at_payload_review(), approve_as_seen(comment="c"), e.CallOrdered),
        (at_payload_review(), edit({"temperature": 1}), e.CheckOrdered),
        (at_payload_review(), reject(), e.RunCancelled),
        (at_payload_review(), cancel(), e.RunCancelled),
        (at_payload_review(), pause(), e.RunPaused),
        (at_payload_review().given(pause()), resume(), e.RunResumed),
        (at_error_review(), retry(), e.CallOrdered),
    ],
    ids=lambda value: value.kind.__name__ if isinstance(value, Ask) else None,
)
def test_the_same_command_again_has_no_second_effect(story: Story, ask: Ask, effect: type[e.Event]) -> None:
    """A replayed request takes effect once, also after the run has moved on, and another body is refused."""
    ask = ask.but(**KEY, **({"checkpoint_id": story.checkpoint_id} if "Checkpoint" in ask.kind.__name__ else {}))
    first = story.when(ask)
    assert isinstance(first.events[-1].data, effect)
    first.story.when(again(first.command)).then()
    moved_on = _move_on(first.story)
    moved_on.when(again(first.command)).then()
    moved_on.when(again(first.command).but(request_sha256="b" * 64)).refused_with("idempotency_key_reused")
    moved_on.when(again(first.command).but(request_sha256=None)).refused_with("idempotency_key_reused")


def test_a_key_used_for_one_checkpoint_does_not_decide_the_next() -> None:
    """The same key and body always get the same answer, so they decide nothing more."""
    keyed = approve().but(**KEY)
    story = at_payload_review().given(keyed, executed())
    assert story.now.view.state.value == "response_review"
    story.when(keyed).then()


def test_what_a_person_says_with_a_decision_is_kept() -> None:
    """Who, when and why: the comment for colleagues, the message for the requester, the reason of a rejection."""
    said = {"comment": "looks fine", "message": "thank you"}
    asks = {
        "approve": approve(**said),
        "edit": edit({"temperature": 1}, **said),
        "reject": reject(**said, reason="no"),
    }
    for action, ask in asks.items():
        outcome = at_payload_review().when(ask.but(actor="bob"))
        recorded = outcome.events[0].data.model_dump()
        assert (recorded["comment"], recorded["message"]) == ("looks fine", "thank you")
        approval = outcome.story.now.view.last_approval
        assert approval is not None
        assert (approval.action, approval.actor, approval.at) == (action, "bob", outcome.command.at)
        assert (approval.comment, approval.message) == ("looks fine", "thank you")
        assert approval.reason == ("no" if action == "reject" else None)


def test_every_event_of_a_decision_names_the_command_that_caused_it() -> None:
    """The decision is the person's; the events after it are the system's."""
    outcome = at_response_review().when(approve().but(actor="ann", **KEY))
    assert [(record.actor, record.cause) for record in outcome.events] == [
        ("ann", KEY["command_id"]),
        ("system", KEY["command_id"]),
    ]


def _move_on(story: Story) -> Story:
    if story.now.view.is_over:
        return story
    return story.given(resume(), cancel()) if story.now.view.paused else story.given(cancel())
