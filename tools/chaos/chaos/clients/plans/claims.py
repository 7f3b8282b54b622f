"""Plans of claims: they lapse, are renewed, required, raced for and overridden. People talk meanwhile."""

from __future__ import annotations

from chaos.clients.desk import Desk, Pause, Steps, Until
from chaos.clients.plans.plan import LONG, SHORT, UNTIL_DECIDED, Plan, all_accepted, is_open, users


def claim_lapses(desk: Desk) -> Steps:
    """Let a claim end by itself, and another person claim."""
    yield [desk.ask("claim", "ann")]
    yield Until(is_open)
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


def others_renew_no_claim(desk: Desk) -> Steps:
    """Let others comment and keep drafts: a claim ends by itself all the same, and its former holder renews it no more."""
    yield [desk.ask("claim", "ann")]
    yield Pause(SHORT * 0.5)
    yield [desk.ask("comment", "bob"), desk.ask("draft", "bob", action="approve")]
    yield Until(is_open)
    yield [desk.ask("comment", "ann"), desk.ask("draft", "ann", action="reject", reason="unclear")]
    yield [desk.vote("bob")]


def claim_is_required(desk: Desk) -> Steps:
    """Decide with a claim; who was too slow claims again."""
    yield [desk.vote("bob", expected="not_claimed")]
    decided = False
    while not decided:
        yield [desk.ask("claim", "ann")]
        decided = all_accepted((yield [desk.vote("ann", "approve", "not_claimed")]))


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


def claim_is_taken_over(desk: Desk) -> Steps:
    """Override a claim as an administrator, and ask others."""
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("claim", "lea", override=True, reason="it is urgent")]
    yield [desk.ask("release", "ann", "not_claimed", expected="claimed_by_other")]
    yield [desk.ask("escalate", "lea")]
    yield [desk.vote("bob")]


def people_talk(desk: Desk) -> Steps:
    """Comment, three at once, while two keep drafts and one of them decides."""
    yield [desk.ask("comment", who) for who in ("ann", "bob", "cleo")]
    yield [desk.ask("draft", who, action="reject", reason="unclear") for who in ("ann", "bob")]
    yield [desk.vote("bob"), desk.ask("comment", "cleo", "not_allowed")]


PLANS = (
    Plan(claim_lapses, {"lease_seconds": SHORT}),
    Plan(two_claim_at_once, {"lease_seconds": LONG}),
    Plan(claim_is_renewed, {"lease_seconds": SHORT * 2}),
    Plan(others_renew_no_claim, {"lease_seconds": SHORT}),
    Plan(claim_is_required, {"lease_seconds": SHORT, "claim": "required"}),
    Plan(claim_is_taken_over, {"lease_seconds": LONG, "escalate_to": users("ann", "bob")}),
    Plan(people_talk),
)
