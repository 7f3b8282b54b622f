"""From the setting to rules, and what an account is named by."""

from __future__ import annotations

import pytest

from chassis.limits import ProviderLimits
from chassis.settings import SettingsError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.rate_limits.gcra import pace_of
from provider_worker.rate_limits.rules import account_of, rules_of

KEY = "sk-a-very-secret-key"


def test_a_rule_holds_what_the_setting_says() -> None:
    """A provider that nothing is said of has none."""
    limits = {"sandbox": ProviderLimits(requests_per_minute=60, concurrency=3), "openai": ProviderLimits()}
    rules = rules_of(limits, Registry([SandboxProvider(), OpenAIProvider(KEY, None)]))
    assert [*rules] == ["sandbox"]
    assert (rules["sandbox"].pace, rules["sandbox"].tokens, rules["sandbox"].places) == (pace_of(60), None, 3)


def test_a_limit_for_nobody_is_refused() -> None:
    """A misspelt name would limit nothing, and nobody would notice."""
    with pytest.raises(SettingsError, match=r"SAYSO_LIMITS: /sandbx: no such provider; known are sandbox"):
        rules_of({"sandbx": ProviderLimits(concurrency=1)}, Registry([SandboxProvider()]))


def test_an_account_is_a_provider_and_its_key_and_shows_no_key() -> None:
    """Workers with the same key share it; another key and another provider are another account."""
    same = {account_of(OpenAIProvider(KEY, base)) for base in (None, "http://127.0.0.1:1/v1")}
    assert len(same) == 1
    assert KEY not in next(iter(same))
    assert account_of(OpenAIProvider("sk-another-secret-key", None)) not in same
    assert account_of(SandboxProvider()) not in same
