"""Plans of people whom their keys identify: members of groups, and substitutes of those who are absent."""

from __future__ import annotations

from chaos.clients.desk import Desk, Pause, Steps
from chaos.clients.people import SUBSTITUTE
from chaos.clients.plans.plan import Plan, all_accepted, users

IN_FORCE_SECONDS = 5.0
"""A new absence, and the end of one, is known everywhere after so long."""


def groups_decide(desk: Desk) -> Steps:
    """Let one of each group approve its stage; members of others can neither decide nor claim."""
    yield [desk.vote("bob", expected="not_candidate"), desk.ask("claim", "cleo", expected="not_candidate")]
    yield [desk.vote("dora")]
    yield [desk.vote("ann", expected="not_candidate"), desk.ask("claim", "dora", expected="not_candidate")]
    yield [desk.vote("cleo")]


def member_leaves(desk: Desk) -> Steps:
    """Let a member of a group vote and leave it: the vote is kept and counts no more, so that two others complete the quorum."""
    yield [desk.vote_as(("legal",))]
    yield [desk.vote_as((), expected="not_candidate")]
    yield Pause(IN_FORCE_SECONDS)
    # Once more: while its database did not answer, the gateway notes nothing of a token.
    yield [desk.vote_as((), expected="not_candidate")]
    yield [desk.vote("dora")]
    yield [desk.vote("ann")]


def substitute_decides(desk: Desk) -> Steps:
    """Let a person act in the place of one that is absent, and not before; one place has one vote."""
    yield from _asks_the_absent(desk)
    yield [desk.vote(SUBSTITUTE, expected="not_candidate")]
    yield [desk.absence("lea", SUBSTITUTE, desk.after(600))]
    yield Pause(IN_FORCE_SECONDS)
    yield [desk.ask("claim", SUBSTITUTE)]
    yield [desk.vote(SUBSTITUTE)]
    yield [desk.vote(SUBSTITUTE, expected="already_voted")]
    yield [desk.vote("ann")]


def absence_is_over(desk: Desk) -> Steps:
    """Let a person act in the place of one that is absent, and no more once that is back."""
    yield from _asks_the_absent(desk)
    yield [desk.absence("lea", SUBSTITUTE, desk.after(1))]
    yield [desk.ask("comment", SUBSTITUTE, "not_candidate", "forbidden")]
    yield Pause(1 + IN_FORCE_SECONDS)
    yield [desk.vote(SUBSTITUTE, expected="not_candidate"), desk.ask("claim", SUBSTITUTE, expected="not_candidate")]
    yield [desk.vote("ann")]
    yield [desk.vote("lea")]


def _asks_the_absent(desk: Desk) -> Steps:
    """Let an administrator ask a person whom no other run has, so that its absence is this run's alone."""
    answers = yield [desk.ask("assign", "lea", to={"user": desk.absent}, override=True, reason="it is theirs")]
    assert all_accepted(answers), "an administrator may ask anyone"
    desk.sees(answers[0])


_GROUPS = [
    {"name": "legal", "candidates": {"groups": ["legal"]}},
    {"name": "leads", "candidates": {"groups": ["leads"]}},
]
_TWO = {"approvals_required": 2, "candidates": users("ann", "gus")}

PLANS = (
    Plan(groups_decide, {"stages": _GROUPS}, by_key=True),
    Plan(member_leaves, {"approvals_required": 2, "candidates": {"groups": ["legal"]}}, by_key=True),
    Plan(substitute_decides, _TWO, by_key=True),
    Plan(absence_is_over, _TWO, by_key=True),
)
