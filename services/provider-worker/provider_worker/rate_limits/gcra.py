"""The pace of an account's calls: no minute ever sees more than its limit. Pure: no clock, no store.

A call reserves a slot: a moment of the database's clock. It begins at its slot, at most `LATEST` seconds later, or not at all; another
second is for its way to the provider. So the calls of any 60 s have slots within `WINDOW + JITTER` = 62 s. Requests follow GCRA; tokens
are counted by the second of their slot. `docs/decisions/0006-gcra-and-token-seconds.md` derives both.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 60
JITTER = 2
LATEST = 1.0
"""Seconds after its slot when a call begins at the latest."""

AHEAD = 1.0
"""Seconds ahead that slots are reserved. A slot far ahead would be lost with its worker, and would ignore a later Retry-After."""

TOKEN_SECONDS = WINDOW + JITTER + 1
BURST_SECONDS = 9
BURST_PART = 5
"""A fifth of a minute's tokens in 9 s, and the last call beyond it: a third faster than the limit's pace. No provider likes a minute at once."""

LEASE_SECONDS = 30.0
"""After which the places of a worker that says nothing are free: it was killed. One that lives and is cut off from PostgreSQL for longer, while
others are not, may have calls running beside theirs: its answers are worth more than the limit. A restart of PostgreSQL begins every lease anew.
"""

FRESH_SECONDS = 1.0
"""How long a place is kept for a worker that asked in vain and has fewer places than the one that asks now."""

SOON = 0.25
"""Seconds after which a worker asks again by default."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between slots, and how many may stand at one moment after a pause."""

    gap: float
    burst: int


def pace_of(per_minute: int) -> Pace:
    """Return the pace that keeps to a number of requests in any minute."""
    extra = per_minute // 40
    return Pace((WINDOW + JITTER) / (per_minute - extra), 1 + extra)
