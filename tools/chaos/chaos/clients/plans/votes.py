"""Plans of votes: quorums, stages, majorities, bulk decisions, and a last vote against the end."""

from __future__ import annotations

from chaos.clients.desk import Desk, Pause, Steps
from chaos.clients.plans.plan import GONE, LONG, UNTIL_DECIDED, Plan, users

TIME_LIMIT = 2.0
"""Seconds after which a checkpoint expires whose last vote comes about then."""


def quorum_of_two(desk: Desk) -> Steps:
    """Refuse a second vote of one person; another's completes the quorum."""
    yield [desk.vote("ann")]
    yield [desk.vote("ann", expected="already_voted")]
    yield [desk.vote("bob")]


def three_of_four_at_once(desk: Desk) -> Steps:
    """Let four vote at once, of whom three are enough."""
    yield [desk.vote(who, "approve", *GONE) for who in ("ann", "bob", "cleo", "lea")]


def majority_rejects(desk: Desk) -> Steps:
    """Let two of three reject."""
    yield [desk.vote("ann", "reject", reason="wrong"), desk.vote("bob", "reject", reason="wrong")]


def edit_sets_the_count_back(desk: Desk) -> Steps:
    """Edit at the second stage, which leads back to the first; a vote about the bytes before it is refused."""
    yield [desk.vote("ann")]
    stale = desk.vote("cleo", expected="subject_changed")
    (edited,) = yield [desk.vote("bob", "edit", channel="http", edits={"temperature": 0.25})]
    desk.sees(edited)
    yield [stale]
    yield [desk.vote("ann")]
    yield [desk.vote("bob"), desk.vote("cleo")]


def several_in_bulk(desk: Desk) -> Steps:
    """Approve it with others in one request, which is sent twice; another person completes the quorum."""
    yield [desk.vote("ann", "bulk")]
    yield [desk.vote("bob")]


def one_of_several_in_bulk(desk: Desk) -> Steps:
    """Refuse one item of a request that approves others, since another person holds it."""
    yield [desk.ask("claim", "bob")]
    yield [desk.vote("ann", "bulk", *UNTIL_DECIDED, expected="claimed_by_other")]
    yield [desk.vote("bob", "approve", "checkpoint_already_decided")]


def last_vote_against_the_end(desk: Desk) -> Steps:
    """Vote last about when the time is over."""
    yield [desk.vote("ann", "approve", *GONE)]
    yield Pause(max(0.0, TIME_LIMIT - desk.open_for + (desk.number // 5 % 7 - 3) / 20))
    yield [desk.vote("bob", "approve", *GONE)]


_STAGES = [
    {"name": "first", "candidates": users("ann", "lea")},
    {"name": "second", "candidates": users("ann", "bob", "cleo"), "approvals_required": 2},
]

PLANS = (
    Plan(quorum_of_two, {"approvals_required": 2, "candidates": users("ann", "bob")}),
    Plan(last_vote_against_the_end, {"approvals_required": 2}, ("completed", "failed"), TIME_LIMIT),
    Plan(several_in_bulk, {"approvals_required": 2, "four_eyes": True}),
    Plan(one_of_several_in_bulk, {"lease_seconds": LONG}),
    Plan(edit_sets_the_count_back, {"stages": _STAGES}),
    Plan(three_of_four_at_once, {"approvals_required": 3}),
    Plan(
        majority_rejects,
        {"approvals_required": 2, "on_reject": "majority", "candidates": users("ann", "bob", "cleo")},
        ("cancelled",),
    ),
)
