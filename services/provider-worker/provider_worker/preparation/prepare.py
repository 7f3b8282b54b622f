"""Carrying out a `prepare` order: a route or a provider drafts the payload, then the operator's checks look at it."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.routes import Rules
from contracts.providers.call import Preparation
from contracts.providers.orders import Order, PrepareOrder
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.execution.failures import provider_unknown
from provider_worker.ports import Artifacts
from provider_worker.preparation.draft import Draft, draft
from provider_worker.preparation.router import NAME as ROUTER
from provider_worker.preparation.router import Router
from provider_worker.providers.base import AIProvider
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer


class Preparer:
    """Prepares calls by all that the operator has set up."""

    def __init__(
        self,
        registry: Registry,
        artifacts: Artifacts,
        sanitizer: Sanitizer,
        checks: CheckRunner | None = None,
        routes: Mapping[str, Rules] | None = None,
        circuits: CircuitBreakers | None = None,
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._sanitizer = sanitizer
        self._checks = checks or CheckRunner()
        self._circuits = circuits or CircuitBreakers()
        self.router = Router(routes or {}, registry, self._circuits, sanitizer, self._draft)

    def name_of(self, order: Order) -> str:
        """Return by what name an order is spoken of that no provider stands for: the router's, if it is for that."""
        is_routed = isinstance(order, PrepareOrder) and self.router.is_for(order.intent)
        return ROUTER if is_routed else "unknown"

    async def prepare(self, order: PrepareOrder) -> Preparation:
        """Return the facts that `order` is answered with. Raises ProviderError and StorageUnavailable."""
        self._checks.refuse_unknown(order)
        if self.router.is_for(order.intent):
            return await self._checked(order, await self.router.draft(order))
        provider = self._registry.find(order.intent.provider)
        if provider is None:
            raise provider_unknown(order.intent.provider, [*self._registry.names, *self.router.names])
        return await self._checked(order, await self._draft(order, provider))

    async def _draft(self, order: PrepareOrder, provider: AIProvider) -> Draft:
        state = self._circuits.state_of(provider.name)
        return await draft(order, provider, self._registry, self._artifacts, self._sanitizer, state)

    async def _checked(self, order: PrepareOrder, drafted: Draft) -> Preparation:
        prepared = drafted.preparation
        signals = await self._checks.at_payload(
            order, drafted.intent, prepared.payload, prepared.estimate, prepared.signals, self._sanitizer
        )
        return prepared if signals is prepared.signals else prepared.changed({"signals": signals})
