"""`SAYSO_ROUTES`: what is taken, and the one line that refuses what is not."""

from __future__ import annotations

import pytest

from chassis.routes import Option
from chassis.settings import SettingsError, load_settings


def test_routes_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule needs to say among what it chooses; without the setting there is no route."""
    assert load_settings(_env_file=None).routes == {}
    monkeypatch.setenv("SAYSO_ROUTES", '{"r": [{"among": [{"provider": "openai", "model": "m"}]}]}')
    (rule,) = load_settings(_env_file=None).routes["r"]
    assert (rule.choose, rule.among, rule.when.operation) == ("first", (Option(provider="openai", model="m"),), None)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('{"r": []}', "SAYSO_ROUTES: /r: Tuple should have at least 1 item"),
        ('{"r": [{"among": []}]}', "SAYSO_ROUTES: /r/0/among: Tuple should have at least 1 item"),
        ('{"r": [{"among": [{"model": "m"}]}]}', "SAYSO_ROUTES: /r/0/among/0/provider: Field required"),
        ('{"r": [{"among": [{"provider": "p"}], "chose": "first"}]}', "SAYSO_ROUTES: /r/0/chose: Extra inputs"),
        ('{"r": [{"among": [{"provider": "p"}], "choose": "best"}]}', "SAYSO_ROUTES: /r/0/choose: Input should be"),
        ('{"r": [{"among": [{"provider": "p"}], "when": {"prompt_at_most": -1}}]}', "SAYSO_ROUTES: /r/0/when/prompt_at_most"),
        ("nonsense", "SAYSO_ROUTES: not JSON: Expecting value"),
    ],
)  # fmt: skip
def test_what_is_no_route_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, said: str, line: str) -> None:
    """In one line that names the place."""
    monkeypatch.setenv("SAYSO_ROUTES", said)
    with pytest.raises(SettingsError) as refused:
        load_settings(_env_file=None)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
