"""Whatever the order, the same votes lead to the same end."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import given as whatever
from hypothesis import strategies as st

from contracts.identity import Role
from contracts.runs.tasks.rules import ReviewRules
from testkit.messages import strategies
from testkit.messages.strategies import PERSONS
from testkit.runs.approval_oracle.decisions import check_decisions
from testkit.runs.commands import approve, prepared, reject, start
from testkit.runs.people import principal
from testkit.runs.specification import Story, given
from testkit.runs.tasks import by

_votes = st.lists(
    st.tuples(st.sampled_from(PERSONS), st.sampled_from(["approve", "approve", "reject"])), min_size=1, max_size=7
)


def _voted(story: Story, votes: list[tuple[str, str]]) -> tuple[Story, list[tuple[str, str]]]:
    """Return the story after those of the votes that are taken while the stage is open, and these votes."""
    stage, taken = _stage_of(story), []
    for person, action in votes:
        if _stage_of(story) != stage:
            break
        who = principal(person, Role.ADMIN if person == "adam" else Role.REVIEWER, groups=("legal", "leads"))
        outcome = story.when(by(who, approve() if action == "approve" else reject()))
        if outcome.refusal is None:
            taken.append((person, action))
        story = outcome.story
    return story, taken


def _stage_of(story: Story) -> str | None:
    checkpoint = story.now.view.checkpoint
    return None if checkpoint is None else f"{checkpoint.step} {checkpoint.task.stage}"


def _end(story: Story) -> tuple[Any, ...]:
    task = story.now.view.checkpoint.task if story.now.view.checkpoint else None
    decision = story.now.view.last_approval
    return (
        story.now.view.state,
        decision and decision.action,
        _stage_of(story),
        task and {(vote.by, vote.action) for vote in task.standing},
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@whatever(
    rules=strategies.review_rules.filter(lambda rules: rules.claim == "optional"),
    rounds=st.lists(_votes, min_size=1, max_size=3),
)
def test_whatever_their_order_the_same_votes_lead_to_the_same_end(
    rules: ReviewRules, rounds: list[list[tuple[str, str]]]
) -> None:
    """Within each stage, every order of the votes that were taken leads where they led."""
    asker = principal("rita", Role.REQUESTER)
    steps: dict[str, Any] = {"allowed_steps": ("payload_review",), "timeout_seconds": 86_400}
    story = given(start(review=rules, **steps).but(principal=asker, actor="rita"), prepared())
    for votes in rounds:
        if story.now.view.checkpoint is None:
            return
        after, taken = _voted(story, votes)
        for order in permutations(taken):
            other, _ = _voted(story, list(order))
            assert _end(other) == _end(after), order
        check_decisions(after.history)
        story = after
