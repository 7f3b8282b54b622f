"""Drafts a payload by a route: every candidate is drafted, which costs nothing, and the rule picks one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from contracts.providers.call import CallIntent, Failure, Issue, Severity
from contracts.providers.capabilities import Capabilities, ModelInfo
from contracts.providers.orders import PrepareOrder
from contracts.providers.routing import Candidate
from contracts.providers.signals import Reason
from provider_worker.errors import DatabaseUnavailable
from provider_worker.messages.failures import failure_of
from provider_worker.preparation.draft import Draft, Drafter
from provider_worker.preparation.route_choice import CIRCUIT_OPEN, Assessed, choose, fitting, routing_of
from provider_worker.preparation.routing_rules import Option, RouteRule, Rules
from provider_worker.providers.base import AIProvider, ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer

NAME = "router"

DRAFT_SECONDS = 20.0
"""How long a candidate may take to be drafted before the others go without it."""


class Router:
    """Chooses among providers by the operator's routes."""

    def __init__(
        self,
        routes: Mapping[str, Rules],
        registry: Registry,
        drafter: Drafter,
        circuits: CircuitBreakers,
        sanitizer: Sanitizer,
    ) -> None:
        self._routes = routes
        self._registry = registry
        self._drafter = drafter
        self._circuits = circuits
        self._sanitizer = sanitizer

    @property
    def names(self) -> tuple[str, ...]:
        """The name that routes go by, if there are any."""
        return (NAME,) if self._routes else ()

    def is_for(self, intent: CallIntent) -> bool:
        """Return whether an intent leaves the choice to a route."""
        return bool(self._routes) and intent.provider.strip().lower() == NAME

    def capabilities(self) -> Capabilities | None:
        """Return the routes as models of a provider; None without any."""
        if not self._routes:
            return None
        return Capabilities(
            provider=NAME,
            description="Chooses a provider and a model by rule, cost and health; the models are routes.",
            operations=("any",),
            default_operation="any",
            models=tuple(ModelInfo(name=name, description=_description(rules)) for name, rules in self._routes.items()),
            default_model=next(iter(self._routes)),
        )

    async def draft(self, order: PrepareOrder) -> Draft:
        """Draft the candidate that the order's route chooses. Raises ProviderError."""
        route, index, rule = self._rule(order.intent)
        drafted = await self._try_all(order, rule)
        assessed = [one for one, _ in drafted]
        choice = choose(assessed, rule)
        if choice is None:
            raise ProviderError(_exhausted(route, assessed))
        chosen, reason = choice
        draft = drafted[chosen][1]
        assert draft is not None, "the chosen candidate was drafted"
        return draft.with_routing(routing_of(route, index, assessed, chosen, reason))

    def _rule(self, intent: CallIntent) -> tuple[str, int, RouteRule]:
        route = intent.model or next(iter(self._routes))
        rules = self._routes.get(route)
        if rules is None:
            raise ProviderError(_unknown(f"There is no route {route[:100]!r}; there are {', '.join(self._routes)}."))
        index = fitting(rules, intent)
        if index is None:
            raise ProviderError(_unknown(f"No rule of the route {route} fits this call."))
        return route, index, rules[index]

    async def _try_all(self, order: PrepareOrder, rule: RouteRule) -> list[tuple[Assessed, Draft | None]]:
        try:
            async with asyncio.TaskGroup() as group:
                trying = [group.create_task(self._try(order, option)) for option in rule.among]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [one.result() for one in trying]

    async def _try(self, order: PrepareOrder, option: Option) -> tuple[Assessed, Draft | None]:
        provider = self._registry.find(option.provider)
        if provider is None:
            return _out(option, "provider_unknown", f"There is no provider {option.provider}."), None
        try:
            async with asyncio.timeout(DRAFT_SECONDS):
                draft = await self._drafter.draft(
                    order.changed({"intent": _intent_for(option, order.intent)}), provider
                )
        except TimeoutError:
            return _out(option, "timeout", f"It could not be drafted within {DRAFT_SECONDS:g} s."), None
        except DatabaseUnavailable:
            raise
        except Exception as error:  # one candidate must not stop the others
            failure = failure_of(error, provider.name, self._sanitizer, may_have_called=False)
            return _out(option, failure.code, failure.message), None
        prepared = draft.preparation
        model = prepared.model
        return Assessed(option, model, prepared.estimate, self._obstacle(order, draft, provider)), draft

    def _obstacle(self, order: PrepareOrder, draft: Draft, provider: AIProvider) -> Reason | None:
        prepared = draft.preparation
        if Candidate(provider=prepared.provider, model=prepared.model) in order.tried:
            return Reason(code="tried", message="it was tried and was not up to it")
        errors = [issue for issue in prepared.issues if issue.severity is Severity.ERROR and not issue.auto_fixable]
        if errors:
            return Reason(code=errors[0].code, message=errors[0].message)
        if self._circuits.state_of(provider.name) == "open":
            return Reason(code=CIRCUIT_OPEN, message="it was down for the last calls")
        return None


def _intent_for(option: Option, intent: CallIntent) -> CallIntent:
    parameters = {**option.parameters, **intent.parameters}
    return intent.changed({"provider": option.provider, "model": option.model, "parameters": parameters})


def _out(option: Option, code: str, message: str) -> Assessed:
    return Assessed(option, option.model, obstacle=Reason(code=code, message=message))


def _description(rules: Rules) -> str:
    among = dict.fromkeys(f"{option.provider}/{option.model or '*'}" for rule in rules for option in rule.among)
    return f"Chooses among {', '.join(among)}."


def _unknown(message: str) -> Failure:
    return Failure(
        code="route_unknown", message=message, issues=(Issue(code="route_unknown", message=message, path="/model"),)
    )


def _exhausted(route: str, assessed: list[Assessed]) -> Failure:
    reasons = "; ".join(
        f"{one.option.provider}/{one.model or '*'}: {one.obstacle.message}" for one in assessed if one.obstacle
    )
    return Failure(
        code="route_exhausted", message=f"Nothing that the route {route} may choose can be called. {reasons}"
    )
