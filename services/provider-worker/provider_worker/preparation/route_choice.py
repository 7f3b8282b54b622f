"""Chooses among a route's candidates, with the reason. Pure: estimates and obstacles are known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from contracts.providers.call import CallIntent
from contracts.providers.routing import Candidate, Considered, Routing
from contracts.providers.signals import Reason
from provider_worker.preparation.routing_rules import Option, RouteRule, When

CIRCUIT_OPEN = "circuit_open"
"""The one obstacle that passes by itself: a candidate that has it is the last resort."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """A candidate with its estimate and its obstacle, if there is one. `model` is the chosen one where the option names none."""

    option: Option
    model: str | None
    estimate: Decimal | None = None
    obstacle: Reason | None = None

    @property
    def candidate(self) -> Candidate:
        """Return the candidate's name in records."""
        return Candidate(provider=self.option.provider, model=self.model)


def fitting(rules: Sequence[RouteRule], intent: CallIntent) -> int | None:
    """Return the index of the first rule that fits `intent`."""
    return next((index for index, rule in enumerate(rules) if _fits(rule.when, intent)), None)


def choose(assessed: Sequence[Assessed], rule: RouteRule) -> tuple[int, Reason] | None:
    """Return the index of the chosen candidate and the reason; None when every candidate has an obstacle."""
    able = [index for index, one in enumerate(assessed) if one.obstacle is None]
    if not able:
        down = [index for index, one in enumerate(assessed) if one.obstacle and one.obstacle.code == CIRCUIT_OPEN]
        return (down[0], Reason(code="last_resort", message="nothing else can be called")) if down else None
    if len(able) == 1:
        return able[0], Reason(code="only_one", message="nothing else can be called")
    if rule.choose == "first":
        return able[0], Reason(code="first", message=f"it is the first of {len(able)} that can be called")
    known = [(cost, index) for index in able if (cost := assessed[index].estimate) is not None]
    if not known:
        return able[0], Reason(code="first", message="it is the first, and no candidate's cost is known")
    cost, cheapest = min(known)
    return cheapest, Reason(code="cheapest", message=f"{cost} USD is the lowest estimate of {len(able)}")


def routing_of(route: str, rule: int, assessed: Sequence[Assessed], chosen: int, reason: Reason) -> Routing:
    """Return the record of a choice; `rule` is the rule's index."""
    others = [one for index, one in enumerate(assessed) if index != chosen and one.obstacle is None]
    considered = [
        Considered(**one.candidate.model_dump(), estimate=one.estimate, reason=_said_of(one, reason, index == chosen))
        for index, one in enumerate(assessed)
    ]
    return Routing(
        route=route,
        rule=rule + 1,
        reason=reason,
        considered=tuple(considered),
        others=tuple(one.candidate for one in others),
    )


def _said_of(one: Assessed, reason: Reason, is_chosen: bool) -> Reason:  # noqa: FBT001 - one of two readings of a fact
    return reason if is_chosen else one.obstacle or Reason(code="not_needed", message="another was chosen")


def _fits(when: When, intent: CallIntent) -> bool:
    length = len(intent.prompt)
    return (
        when.operation in (None, intent.operation)
        and (when.prompt_at_least is None or length >= when.prompt_at_least)
        and (when.prompt_at_most is None or length <= when.prompt_at_most)
        and when.attachments in (None, bool(intent.attachments))
    )
