"""Rules from the setting, and the names of accounts."""

from __future__ import annotations

import pytest

from chassis.settings import Settings, SettingsError, load_settings
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.rate_limits.gcra import pace_of
from provider_worker.rate_limits.rules import account_of, read_rules

KEY = "sk-a-very-secret-key"


def _settings(limits: str | None) -> Settings:
    return Settings(_env_file=None, limits=limits)


def test_a_rule_holds_what_the_setting_says() -> None:
    """A provider that nothing is said of has none."""
    registry = Registry([SandboxProvider(), OpenAIProvider(KEY, None)])
    assert read_rules(_settings(None), registry) == {}
    rules = read_rules(_settings('{"sandbox": {"requests_per_minute": 60, "concurrency": 3}, "openai": {}}'), registry)
    assert [*rules] == ["sandbox"]
    assert (rules["sandbox"].pace, rules["sandbox"].tokens, rules["sandbox"].places) == (pace_of(60), None, 3)


def test_a_limit_for_nobody_is_refused() -> None:
    """A misspelt name would limit nothing, without a sign."""
    with pytest.raises(SettingsError, match=r"SAYSO_LIMITS: /sandbx: no such provider; known are sandbox"):
        read_rules(_settings('{"sandbx": {"concurrency": 1}}'), Registry([SandboxProvider()]))


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ('{"openai": {"concurency": 1}}', "SAYSO_LIMITS: /openai/concurency: no such name; did you mean `concurrency`?"),
        ('{"openai": {"concurrency": 0}}', "SAYSO_LIMITS: /openai/concurrency: must be greater than 0"),
        ('{"a": {"tokens_per_minute": 1.5}}', "SAYSO_LIMITS: /a/tokens_per_minute: must be a whole number"),
        ('{"a": {"tokens_per_minute": true}}', "SAYSO_LIMITS: /a/tokens_per_minute: must be a whole number"),
        ('{"openai": 5}', "SAYSO_LIMITS: /openai: must be an object"),
        ("[]", "SAYSO_LIMITS: must be an object"),
        ("{", "SAYSO_LIMITS: Invalid JSON: EOF while parsing an object"),
    ],
)  # fmt: skip
def test_a_malformed_limit_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, written: str, line: str) -> None:
    """In one line that names the setting and the place."""
    monkeypatch.setenv("SAYSO_LIMITS", written)
    with pytest.raises(SettingsError) as refused:
        read_rules(load_settings(_env_file=None), Registry([SandboxProvider()]))
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_an_account_is_a_provider_and_its_key_and_shows_no_key() -> None:
    """Workers with the same key share it; another key and another provider are another account."""
    same = {account_of(OpenAIProvider(KEY, base)) for base in (None, "http://127.0.0.1:1/v1")}
    assert len(same) == 1
    assert KEY not in next(iter(same))
    assert account_of(OpenAIProvider("sk-another-secret-key", None)) not in same
    assert account_of(SandboxProvider()) not in same
