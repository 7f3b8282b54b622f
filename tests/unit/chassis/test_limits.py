"""`SAYSO_LIMITS`: what is taken, and the one line that refuses what is not."""

from __future__ import annotations

import pytest

from chassis.limits import ProviderLimits
from chassis.settings import SettingsError, load_settings


def test_limits_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each member may be left out; without the setting there are none."""
    assert load_settings(_env_file=None).limits == {}
    monkeypatch.setenv("SAYSO_LIMITS", '{"openai": {"requests_per_minute": 500, "concurrency": 20}, "x": {}}')
    assert load_settings(_env_file=None).limits == {
        "openai": ProviderLimits(requests_per_minute=500, concurrency=20),
        "x": ProviderLimits(),
    }


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('{"openai": {"concurency": 1}}', "SAYSO_LIMITS: /openai/concurency: Extra inputs are not permitted"),
        ('{"openai": {"concurrency": 0}}', "SAYSO_LIMITS: /openai/concurrency: Input should be greater than 0"),
        ('{"a": {"tokens_per_minute": 1.5}}', "SAYSO_LIMITS: /a/tokens_per_minute: Input should be a valid integer"),
        ('{"a": {"tokens_per_minute": true}}', "SAYSO_LIMITS: /a/tokens_per_minute: Input should be a valid integer"),
        ('{"openai": 5}', "SAYSO_LIMITS: /openai: Input should be a valid dictionary or instance of ProviderLimits"),
        ("[]", "SAYSO_LIMITS: Input should be a valid dictionary"),
        ("{", "SAYSO_LIMITS: not JSON: Expecting property name enclosed in double quotes"),
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, said: str, line: str) -> None:
    """In one line that names the place."""
    monkeypatch.setenv("SAYSO_LIMITS", said)
    with pytest.raises(SettingsError) as refused:
        load_settings(_env_file=None)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
