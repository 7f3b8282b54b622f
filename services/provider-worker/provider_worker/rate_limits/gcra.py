"""How far apart calls begin, so that no minute ever sees more than its limit. Pure: no clock, no store.

A call is booked a slot: a moment of the database's clock. It begins no earlier, and no later than `LATEST` seconds after it or not at all;
another second is for its way to the provider. So a call that begins within some 60 s has a slot within the `WINDOW + JITTER` = 62 s
that end with them.

Requests: a slot is given where the arrival time is at most `burst - 1` gaps ahead of it, and moves the arrival time on by a gap (GCRA). Any 62 s
then hold at most 62 / gap + burst - 1 + 1 slots, of which the last is a fraction that never comes whole: with gap = 62 / (limit - extra)
and burst = 1 + extra that is the limit. While work waits, (60 / 62) * (1 - extra / limit) of it is used: 94.4% at least, as extra is a fortieth.

Tokens are counted by the second of their slot. A slot is given where its own second and the 62 before it hold no more than the limit together
with it: 63 whole seconds hold every 62. While work waits, 60 / 63 of the limit is used, less what is too little for the next call. That holds as far
as estimates are not too low. GCRA is no use here: a call's tokens are known only after it, and what were given back to an arrival time would be
given to calls of another minute.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 60
JITTER = 2
LATEST = 1.0
"""Seconds after its slot when a call begins at the latest."""

AHEAD = 1.0
"""Seconds ahead that slots are given. What is booked far ahead is lost with its worker and knows nothing of a Retry-After."""

TOKEN_SECONDS = WINDOW + JITTER + 1
BURST_SECONDS = 9
BURST_PART = 5
"""A fifth of a minute's tokens in 9 s, and the last call beyond it: a third faster than the limit's pace. No provider likes a minute at once."""

LEASE_SECONDS = 30.0
"""After which the places of a worker that says nothing are free: it was killed. One that lives and is cut off from PostgreSQL for longer, while
others are not, may have calls running beside theirs: its answers are worth more than the limit. A restart of PostgreSQL begins every lease anew.
"""

FRESH_SECONDS = 1.0
"""How long a place is kept for a worker that asked in vain and has fewer than who asks now."""

SOON = 0.25
"""Seconds after which a worker asks again, where nothing tells it when."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between slots, and how many may stand at one moment after a pause."""

    gap: float
    burst: int


def pace_of(per_minute: int) -> Pace:
    """Return the pace that keeps to a number of requests in any minute."""
    extra = per_minute // 40
    return Pace((WINDOW + JITTER) / (per_minute - extra), 1 + extra)
