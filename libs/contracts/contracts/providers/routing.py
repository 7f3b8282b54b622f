"""The choice of a route, its candidates and its reasons: facts of a preparation whose intent left the choice to the router."""

from __future__ import annotations

from decimal import Decimal

from contracts.message import Message
from contracts.providers.signals import Reason


class Candidate(Message):
    """A provider and a model that a route may choose. None is the provider's default model."""

    provider: str
    model: str | None = None


class Considered(Candidate):
    """A candidate, and the reason why it was chosen or not."""

    estimate: Decimal | None = None
    reason: Reason


class Routing(Message):
    """The choice of a route. `rule` counts the route's rules from 1; `others` could have been chosen as well, and are tried next."""

    route: str
    rule: int
    reason: Reason
    considered: tuple[Considered, ...]
    others: tuple[Candidate, ...] = ()
