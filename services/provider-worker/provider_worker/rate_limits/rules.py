"""From the setting `SAYSO_LIMITS` to rules by provider. An account is named by a digest: its key is shown nowhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from chassis.limits import ProviderLimits
from chassis.settings import SettingsError
from provider_worker.providers.base import AIProvider
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.gcra import pace_of
from provider_worker.rate_limits.reservations import Rule

_DIGITS = 16


def rules_of(limits: Mapping[str, ProviderLimits], registry: Registry) -> dict[str, Rule]:
    """Return the rule of every provider that has one, by the provider's name. Raises SettingsError."""
    rules = {}
    for name, limit in limits.items():
        provider = registry.find(name)
        if provider is None or provider.name != name:
            known = ", ".join(registry.names)
            raise SettingsError(f"SAYSO_LIMITS: /{name}: no such provider; known are {known}")
        pace = None if limit.requests_per_minute is None else pace_of(limit.requests_per_minute)
        if limit != ProviderLimits():
            rules[name] = Rule(account_of(provider), pace, limit.tokens_per_minute, limit.concurrency)
    return rules


def account_of(provider: AIProvider) -> str:
    """Name the account that a provider's calls go to: workers with the same key share it, and those without any."""
    said = "\0".join([provider.name, *sorted(provider.secrets)])
    return f"{provider.name}:{hashlib.sha256(said.encode()).hexdigest()[:_DIGITS]}"
