"""Reservations of slots: the request, the answer, and the rule between them, without a clock or a store.

PostgreSQL carries out the same rule in one statement (`worker.reserve`), which is tested against this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from provider_worker.rate_limits.gcra import (
    AHEAD,
    BURST_PART,
    BURST_SECONDS,
    FRESH_SECONDS,
    LEASE_SECONDS,
    SOON,
    TOKEN_SECONDS,
    Pace,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """The limits of an account. `name` tells it from others, and shows no key. None is no limit."""

    name: str
    pace: Pace | None = None
    tokens: int | None = None
    places: int | None = None


@dataclass(frozen=True, slots=True)
class ReservedSlots:
    """Slots for the first so many of the calls that were asked for, and when to ask for the others, all in seconds from now.

    `seconds` are those of the slots by the store's clock; a call's tokens are counted there.
    """

    begins_in: Sequence[float]
    seconds: Sequence[int]
    again_in: float


class Reservations(Protocol):
    """The slots of accounts, shared by all workers. Every method raises DatabaseUnavailable."""

    async def reserve(self, rule: Rule, holder: str, held: int, tokens: Sequence[int]) -> ReservedSlots:
        """Reserve slots for calls, each by its tokens, in order; note at the same time that `holder` has `held` calls under way.

        A holder that does not ask for LEASE_SECONDS holds no more places; a restart of the store renews all of them.
        """
        ...

    async def settle(self, rule: Rule, second: int, tokens: int) -> None:
        """Count so many more tokens, or fewer, in a slot's second."""
        ...

    async def close(self, rule: Rule, seconds: float) -> None:
        """Reserve no slot of an account for so long."""
        ...


@dataclass(slots=True)
class Holder:
    """A worker's last report of its calls under way."""

    places: int = 0
    waits: bool = False
    asked_at: float = -math.inf
    granted_at: float = -math.inf


@dataclass(slots=True)
class Account:
    """The state of one account: the next request's arrival time, tokens by second, places by holder."""

    arrival: float = -math.inf
    closed_until: float = -math.inf
    tokens: dict[int, int] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)

    def reserve(self, rule: Rule, holder: str, held: int, wanted: Sequence[int], now: float) -> ReservedSlots:
        """Reserve slots as `Reservations.reserve` promises, at the moment `now`."""
        begins: list[float] = []
        again = SOON
        for tokens in wanted[: self._places(rule, holder, held, len(wanted), now)]:
            slot = max(now, self.closed_until, self._earliest(rule.pace))
            if slot > now + AHEAD:
                again = max(SOON, slot - now - AHEAD)
                break
            if not self._has_tokens(rule.tokens, math.floor(slot), tokens):
                break
            self.arrival = max(self.arrival, slot) + (rule.pace.gap if rule.pace else 0)
            begins.append(slot)
        if begins and rule.places is not None:
            said = self.holders[holder]
            said.places, said.granted_at = held + len(begins), now
        return ReservedSlots([slot - now for slot in begins], [math.floor(slot) for slot in begins], again)

    def _earliest(self, pace: Pace | None) -> float:
        return -math.inf if pace is None else self.arrival - (pace.burst - 1) * pace.gap

    def _has_tokens(self, most: int | None, second: int, tokens: int) -> bool:
        if most is None:
            return True
        spent, lately = (
            sum(number for at, number in self.tokens.items() if at > second - seconds)
            for seconds in (TOKEN_SECONDS, BURST_SECONDS)
        )
        # More than the limit alone is the provider's to refuse.
        if spent + min(tokens, most) > most or lately * BURST_PART >= most:
            return False
        self.tokens[second] = self.tokens.get(second, 0) + tokens
        return True

    def _places(self, rule: Rule, holder: str, held: int, wanted: int, now: float) -> int:
        if rule.places is None:
            return wanted
        me = self.holders.setdefault(holder, Holder())
        me.places, me.waits, me.asked_at = held, wanted > 0, now
        others = [other for name, other in self.holders.items() if name != holder and _lives(other, now)]
        first = [other for other in others if _waits(other, now) and _rank(other) < _rank(me)]
        free = rule.places - held - sum(other.places for other in others) - len(first)
        return max(0, min(wanted, free))


def _lives(other: Holder, now: float) -> bool:
    return other.asked_at > now - LEASE_SECONDS


def _waits(other: Holder, now: float) -> bool:
    return other.waits and other.asked_at > now - FRESH_SECONDS


def _rank(holder: Holder) -> tuple[int, float]:
    return (holder.places, holder.granted_at)
