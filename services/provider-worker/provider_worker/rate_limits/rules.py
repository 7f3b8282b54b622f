"""Reads `SAYSO_LIMITS` into rules by provider. A digest names an account, so that its key is shown nowhere."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chassis.settings import Settings, SettingsError, parse_json_setting
from provider_worker.providers.base import AIProvider
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.gcra import pace_of
from provider_worker.rate_limits.reservations import Rule

SETTING = "SAYSO_LIMITS"

_DIGITS = 16

Number = Annotated[int, Field(gt=0, le=1_000_000_000, strict=True)]


class ProviderLimits(BaseModel):
    """The limits of a provider's account for all workers together. None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Number | None = None
    tokens_per_minute: Number | None = None
    concurrency: Number | None = None


def read_rules(settings: Settings, registry: Registry) -> dict[str, Rule]:
    """Return the rule of every provider that has limits, by the provider's name. Raises SettingsError naming the place."""
    if settings.limits is None:
        return {}
    rules = {}
    for name, limit in parse_json_setting(SETTING, settings.limits, dict[str, ProviderLimits]).items():
        provider = registry.find(name)
        if provider is None or provider.name != name:
            known = ", ".join(registry.names)
            raise SettingsError(f"{SETTING}: /{name}: no such provider; known are {known}")
        pace = None if limit.requests_per_minute is None else pace_of(limit.requests_per_minute)
        if limit != ProviderLimits():
            rules[name] = Rule(account_of(provider), pace, limit.tokens_per_minute, limit.concurrency)
    return rules


def account_of(provider: AIProvider) -> str:
    """Name the account of a provider's calls: workers with the same key share it, and so do workers without a key."""
    identity = "\0".join([provider.name, *sorted(provider.secrets)])
    return f"{provider.name}:{hashlib.sha256(identity.encode()).hexdigest()[:_DIGITS]}"
