"""What tests of routing share: providers of every price and fault, routes among them, and why each was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter

from contracts.providers.call import Failure, Preparation
from provider_worker.preparation.prepare import Preparer
from provider_worker.preparation.routing_rules import Routes
from provider_worker.providers.base import ProviderError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts

KEY = "sk-a-very-secret-key"
ROUTES: TypeAdapter[Routes] = TypeAdapter(Routes)


class Cheap(SandboxProvider):
    """A provider that states a price."""

    name = "cheap"
    price: Decimal | None = Decimal("0.0001")

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:  # noqa: ARG002
        """State it."""
        return self.price


class Dear(Cheap):
    """A provider that asks for more."""

    name = "dear"
    price = Decimal(5)


class Unpriced(Cheap):
    """A provider without a known price."""

    name = "unpriced"
    price = None


class Broken(Cheap):
    """A provider that cannot draft."""

    name = "broken"

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Refuse."""
        raise ProviderError(Failure(code="model_unknown", message="There is no such model."))


class Buggy(Cheap):
    """A provider full of bugs."""

    name = "buggy"

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Break."""
        raise RuntimeError(KEY)


class Leaky(Cheap):
    """A provider that repeats its key."""

    name = "leaky"

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Refuse."""
        raise ProviderError(Failure(code="model_unknown", message=f"No model for {KEY}."))


def preparer(circuits: CircuitBreakers | None = None, **routes: Any) -> Preparer:
    """Return what prepares calls with these routes."""
    registry = Registry([SandboxProvider(), Cheap(), Dear(), Unpriced(), Broken(), OpenAIProvider(None, None)])
    rules = ROUTES.validate_python(routes)
    return Preparer(registry, MemoryArtifacts(), Sanitizer(), routes=rules, circuits=circuits)


def among(*providers: str, **rule: Any) -> list[dict[str, Any]]:
    """Return the rules of a route that has one."""
    return [{"among": [{"provider": provider} for provider in providers], **rule}]


def down(circuits: CircuitBreakers, *providers: str) -> None:
    """Let the last call of each provider have found it down."""
    for provider in providers:
        with pytest.raises(ProviderError), circuits.watch(provider):
            raise ProviderError(Failure(code="connection_failed", message="no"))


def reasons(preparation: Preparation) -> dict[str, str]:
    """Return why each candidate was chosen or not."""
    assert preparation.routing is not None
    return {one.provider: one.reason.code for one in preparation.routing.considered}
