"""Which runs have a plan, and which plan: one after the other, so that each has its turn."""

from __future__ import annotations

from chaos.clients.plans import claims, delegation, identities, times, votes
from chaos.clients.plans.plan import Plan

UNDER_RULES = (2, 5)
"""The last digits of the numbers of runs whose review has rules: every fifth run."""

PLANS = (*votes.PLANS, *claims.PLANS, *delegation.PLANS, *times.PLANS, *identities.PLANS)


def plan_of(number: int, turn: int, *, by_key: bool) -> Plan | None:
    """Return the plan of a run, where its review has rules; another is first in each load. Without keys, none that needs them."""
    plans = [plan for plan in PLANS if by_key or not plan.by_key]
    return plans[(number // 5 + turn) % len(plans)] if number % 10 in UNDER_RULES else None
