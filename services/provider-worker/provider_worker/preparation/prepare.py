"""Carries out `prepare` and `check` orders: a payload is drafted or came edited, then the operator's checks inspect it."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.providers.call import CallIntent, Checked, Preparation
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import CheckOrder, Order, PrepareOrder
from contracts.providers.signals import Signals
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.messages.failures import provider_unknown
from provider_worker.ports import Artifacts
from provider_worker.preparation.draft import Draft, Drafter, issues_of
from provider_worker.preparation.router import NAME as ROUTER
from provider_worker.preparation.router import Router
from provider_worker.preparation.routing_rules import Rules
from provider_worker.providers.base import AIProvider
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer


class Preparer:
    """Prepares calls by the providers, routes and checks that the operator has set up."""

    def __init__(
        self,
        registry: Registry,
        artifacts: Artifacts,
        sanitizer: Sanitizer,
        checks: CheckRunner | None = None,
        routes: Mapping[str, Rules] | None = None,
        circuits: CircuitBreakers | None = None,
    ) -> None:
        circuits = circuits or CircuitBreakers()
        self._registry = registry
        self._sanitizer = sanitizer
        self._checks = checks or CheckRunner()
        self._drafter = Drafter(registry, artifacts, sanitizer, circuits)
        self._router = Router(routes or {}, registry, self._drafter, circuits, sanitizer)

    @property
    def routes(self) -> Capabilities | None:
        """The routes, announced like a provider; None without any."""
        return self._router.capabilities()

    def name_of(self, order: Order) -> str:
        """Return the actor's name for an order whose provider is not installed: the router's, if the order is for it."""
        is_routed = isinstance(order, PrepareOrder) and self._router.is_for(order.intent)
        return ROUTER if is_routed else "unknown"

    async def prepare(self, order: PrepareOrder) -> Preparation:
        """Return the facts that answer `order`. Raises ProviderError and DatabaseUnavailable."""
        self._checks.refuse_unknown(order)
        draft = await self._draft(order)
        prepared = draft.preparation
        signals = await self._checks.at_payload(
            order, draft.intent, prepared.payload, prepared.estimate, prepared.signals, self._sanitizer
        )
        return prepared if signals is prepared.signals else prepared.changed({"signals": signals})

    async def check(self, order: CheckOrder, provider: AIProvider) -> Checked:
        """Return the facts about what a person edited. Raises ProviderError and DatabaseUnavailable."""
        if order.response is not None:
            signals = await self._checks.at_response(order, order.response, None, Signals(), self._sanitizer)
            return Checked(model=order.model, signals=signals)
        payload, operation = order.payload, order.operation
        issues = await issues_of(provider, operation, payload)
        estimate = await provider.estimate_cost(operation, payload)
        signals = provider.score_payload(payload, issues)
        model = provider.model_of(payload, order.model)
        intent = CallIntent(provider=order.provider, model=model, operation=operation, prompt=order.prompt)
        signals = await self._checks.at_payload(order, intent, payload, estimate, signals, self._sanitizer)
        return Checked(model=model, issues=tuple(issues), estimate=estimate, signals=signals)

    async def _draft(self, order: PrepareOrder) -> Draft:
        if self._router.is_for(order.intent):
            return await self._router.draft(order)
        provider = self._registry.find(order.intent.provider)
        if provider is None:
            raise provider_unknown(order.intent.provider, [*self._registry.names, *self._router.names])
        return await self._drafter.draft(order, provider)
