"""Runs whose review has rules: who does what in which order. Each is a generator of steps, without I/O.

No step names the answer of another client; where several race, or a clock decides, the request names every right outcome.
A plan that has times waits until all of them have come, so that the laws need no allowance for a late clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.clients.desk import Desk, Pause, Steps, Until
from chaos.clients.requests import Answer

LONG, SHORT = 600, 1
"""Leases in seconds: one that no plan outlives, and the shortest that there is."""

TIME_LIMIT = 2.0
"""Seconds after which a checkpoint expires whose last vote comes about then."""

GONE = ("not_allowed", "checkpoint_already_decided")
"""What a vote is told that came behind the end."""

UNTIL_DECIDED = ("checkpoint_already_decided", "accepted")
"""A refusal for another's claim turns into one of these once a jump of the clock has ended its lease."""


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


def claim_lapses(desk: Desk) -> Steps:
    """Let a claim end by itself, and another person claim."""
    yield [desk.ask("claim", "ann")]
    yield Until(_is_open)
    yield [desk.ask("claim", "bob")]
    yield [desk.vote("bob")]


def claim_is_renewed(desk: Desk) -> Steps:
    """Renew a claim by a comment and by a further claim, and give it up; a draft renews the next one."""
    yield [desk.ask("claim", "ann")]
    yield Pause(SHORT * 0.5)
    yield [desk.ask("comment", "ann")]
    yield Pause(SHORT * 0.5)
    yield [desk.ask("renew", "ann")]
    yield [desk.ask("release", "ann", "not_claimed")]
    yield [desk.ask("claim", "bob")]
    yield [desk.ask("draft", "bob", action="approve", comment="soon")]
    yield [desk.vote("bob")]


def claim_is_required(desk: Desk) -> Steps:
    """Decide with a claim; who was too slow claims again."""
    yield [desk.vote("bob", expected="not_claimed")]
    decided = False
    while not decided:
        yield [desk.ask("claim", "ann")]
        decided = _all_accepted((yield [desk.vote("ann", "approve", "not_claimed")]))


def two_claim_at_once(desk: Desk) -> Steps:
    """Let three claim at once. The others can neither claim nor decide."""
    people = ("ann", "bob", "cleo")
    answers = yield [desk.ask("claim", who, "claimed_by_other") for who in people]
    holder = next((who for who, answer in zip(people, answers, strict=True) if answer.accepted), people[0])
    other = people[(people.index(holder) + 1) % len(people)]
    yield [
        desk.vote(holder, "approve", "checkpoint_already_decided"),
        desk.vote(other, "approve", *UNTIL_DECIDED, expected="claimed_by_other"),
    ]


def times_pass(desk: Desk) -> Steps:
    """Wait for two reminders, two missed times and an escalation; then one of those decides who are asked by then."""
    yield Until(lambda task: task["escalated"] == 1 and task["reminded"] == 2 and len(task["missed"]) == 2)
    yield [desk.vote("lea")]


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


def last_vote_against_the_end(desk: Desk) -> Steps:
    """Vote last about when the time is over."""
    yield [desk.vote("ann", "approve", *GONE)]
    yield Pause(max(0.0, TIME_LIMIT - desk.open_for + (desk.number // 5 % 7 - 3) / 20))
    yield [desk.vote("bob", "approve", *GONE)]


def claim_is_taken_over(desk: Desk) -> Steps:
    """Override a claim as an administrator, and ask others."""
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("claim", "lea", override=True, reason="it is urgent")]
    yield [desk.ask("release", "ann", "not_claimed", expected="claimed_by_other")]
    yield [desk.ask("escalate", "lea")]
    yield [desk.vote("bob")]


def task_is_handed_on(desk: Desk) -> Steps:
    """Ask for help, which is given back; then assign it to another."""
    yield [desk.ask("delegate", "ann", to={"user": "bob"})]
    yield [desk.vote("ann", expected="delegated")]
    yield [desk.ask("claim", "bob")]
    yield [desk.ask("return", "bob")]
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("assign", "ann", to={"user": "cleo"})]
    yield [desk.vote("cleo")]


def people_talk(desk: Desk) -> Steps:
    """Comment, three at once, while two keep drafts and one of them decides."""
    yield [desk.ask("comment", who) for who in ("ann", "bob", "cleo")]
    yield [desk.ask("draft", who, action="reject", reason="unclear") for who in ("ann", "bob")]
    yield [desk.vote("bob"), desk.ask("comment", "cleo", "not_allowed")]


def _is_open(task: Mapping[str, Any]) -> bool:
    return bool(task["state"] == "open")


def _all_accepted(answers: list[Answer]) -> bool:
    return all(answer.accepted for answer in answers)


@dataclass(frozen=True)
class Plan:
    """What people do at the payload review of a run, under which rules, and how the run may end."""

    steps: Callable[[Desk], Steps]
    rules: Mapping[str, Any] = field(default_factory=dict)
    ends: tuple[str, ...] = ("completed",)
    timeout_seconds: float = 86_400


def _users(*names: str) -> dict[str, list[str]]:
    return {"users": list(names)}


_STAGES = [
    {"name": "first", "candidates": _users("ann", "lea")},
    {"name": "second", "candidates": _users("ann", "bob", "cleo"), "approvals_required": 2},
]
_TIMES = {"reminders_seconds": [0.4, 0.8], "start_by_seconds": 0.6, "due_seconds": 1.0, "escalate_after_seconds": 1.2}

PLANS = (
    Plan(quorum_of_two, {"approvals_required": 2, "candidates": _users("ann", "bob")}),
    Plan(claim_lapses, {"lease_seconds": SHORT}),
    Plan(last_vote_against_the_end, {"approvals_required": 2}, ("completed", "failed"), TIME_LIMIT),
    Plan(two_claim_at_once, {"lease_seconds": LONG}),
    Plan(times_pass, {**_TIMES, "candidates": _users("ann", "bob"), "escalate_to": _users("ann", "lea")}),
    Plan(several_in_bulk, {"approvals_required": 2, "four_eyes": True}),
    Plan(claim_is_renewed, {"lease_seconds": SHORT * 2}),
    Plan(edit_sets_the_count_back, {"stages": _STAGES}),
    Plan(three_of_four_at_once, {"approvals_required": 3}),
    Plan(claim_is_required, {"lease_seconds": SHORT, "claim": "required"}),
    Plan(claim_is_taken_over, {"lease_seconds": LONG, "escalate_to": _users("ann", "bob")}),
    Plan(
        majority_rejects,
        {"approvals_required": 2, "on_reject": "majority", "candidates": _users("ann", "bob", "cleo")},
        ("cancelled",),
    ),
    Plan(task_is_handed_on, {"lease_seconds": LONG}),
    Plan(people_talk),
)
