"""Plans of times: they pass, are moved, and are given back by a pause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.clients.desk import Desk, Pause, Steps, Until
from chaos.clients.plans.plan import LONG, SHORT, UNTIL_DECIDED, Plan, is_open, users

LATER = 3600.0
"""Seconds to a date that another takes the place of before it comes."""


def times_pass(desk: Desk) -> Steps:
    """Wait for two reminders, two missed times and an escalation; then one of those decides who are asked by then."""
    yield Until(lambda task: task["escalated"] == 1 and task["reminded"] == 2 and len(task["missed"]) == 2)
    yield [desk.vote("lea")]


def dates_are_moved(desk: Desk) -> Steps:
    """Move the dates while others come: each is told as it was set last. A due date that was missed is missed anew."""
    yield from _rescheduled(desk, "ann", due_at=LATER, follow_up_at=LATER)
    yield from _rescheduled(desk, "bob", due_at=2.5, follow_up_at=2.0)
    yield Until(lambda task: task["reminded"] == 2 and _is_missed(task) and task["follow_up_at"] is None)
    yield from _rescheduled(desk, "ann", due_at=2.0)
    yield Until(_is_missed)
    yield [desk.vote("bob")]


def pause_keeps_vote_and_claim(desk: Desk) -> Steps:
    """Hold the run over a vote and a claim: no one decides meanwhile, and both hold afterwards."""
    yield [desk.vote("bob")]
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("pause", "bob")]
    yield [desk.vote(who, expected="not_allowed") for who in ("ann", "cleo")]
    yield [desk.vote("cleo", "reject", expected="not_allowed", reason="wrong")]
    yield [desk.ask("resume", "lea")]
    yield [desk.vote("cleo", "approve", *UNTIL_DECIDED, expected="claimed_by_other")]
    yield [desk.vote("ann", "approve", "checkpoint_already_decided")]


def pause_gives_time_back(desk: Desk) -> Steps:
    """Hold the run while times are to come: none is told meanwhile, a lease ends by the clock alone, and the rest comes later."""
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("pause", "bob")]
    yield Pause(SHORT * 1.5)
    yield from _rescheduled(desk, "ann", due_at=2.5)
    yield [desk.ask("resume", "bob")]
    yield Until(lambda task: is_open(task) and task["reminded"] == 2 and task["escalated"] == 1 and _is_missed(task))
    yield [desk.vote("lea")]


def _rescheduled(desk: Desk, who: str, **seconds: float) -> Steps:
    """Set dates that many seconds from now; again where they had passed before they were set."""
    outcome = "validation_failed"
    while outcome == "validation_failed":
        dates = {name: desk.after(later) for name, later in seconds.items()}
        (answer,) = yield [desk.ask("reschedule", who, "validation_failed", **dates)]
        outcome = answer.outcome
        if not answer.accepted:
            # The clock was set, or the answer was long in coming: the next one says what time it is.
            (answer,) = yield [desk.ask("reschedule", who, priority=90)]
        desk.sees(answer)


def _is_missed(task: Mapping[str, Any]) -> bool:
    return "due_at" in task["missed"]


_TIMES = {"reminders_seconds": [0.4, 0.8], "start_by_seconds": 0.6, "due_seconds": 1.0, "escalate_after_seconds": 1.2}
_TO_LEA = {"candidates": users("ann", "bob"), "escalate_to": users("ann", "lea")}

PLANS = (
    Plan(times_pass, {**_TIMES, **_TO_LEA}),
    Plan(dates_are_moved, {"reminders_seconds": [0.4, 1.2], "due_seconds": LONG, "candidates": users("ann", "bob")}),
    Plan(pause_keeps_vote_and_claim, {"approvals_required": 2, "lease_seconds": LONG}),
    Plan(
        pause_gives_time_back,
        {"reminders_seconds": [0.6, 1.2], "escalate_after_seconds": 2, "lease_seconds": SHORT, **_TO_LEA},
    ),
)
