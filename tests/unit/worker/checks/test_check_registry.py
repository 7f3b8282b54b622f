"""Checks are found through entry points, and the operator says which of them look where."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from chassis.settings import Settings, SettingsError
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import BudgetRules
from provider_worker.checks.registry import GROUP, load_checks
from provider_worker.testing.budgets import MemoryBudgets

BUDGETS = BudgetGate(BudgetRules(), MemoryBudgets())
SETTINGS: dict[str, Any] = {"_env_file": None, "openai_api_key": "sk-test-very-secret-key", "openai_base_url": None}


def _settings(checks: Any = None, **given: Any) -> Settings:
    text = checks if checks is None or isinstance(checks, str) else json.dumps(checks)
    return Settings(**{**SETTINGS, **given}, checks=text)


def test_by_default_there_are_budgets_and_no_other_checks() -> None:
    """No check is loaded that was not asked for."""
    assert load_checks(_settings(), BUDGETS).names == ["cost"]


@pytest.mark.parametrize("checks", [["moderation"], {"moderation": {}}, {"cost": {}, "moderation": {"when": "asked"}}])
def test_the_operator_names_checks_in_a_list_or_with_options(checks: Any) -> None:
    """A shipped check is found like any other."""
    assert load_checks(_settings(checks), BUDGETS).names == ["cost", "moderation"]


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ("pii", 'SAYSO_CHECKS: neither a JSON list of names nor an object of options by name, as in {"pii": '),
        ({"virus": {}}, "SAYSO_CHECKS: /virus: no such check is installed; there are cost, moderation, pii"),
        ({"moderation": {"stages": ["call"]}}, "SAYSO_CHECKS: /moderation/stages/0: must be '"),
        ({"moderation": {"when": "never"}}, "SAYSO_CHECKS: /moderation/when: must be '"),
        ({"moderation": {"modle": "m"}}, "SAYSO_CHECKS: /moderation/modle: no such name; did you mean `model`?"),
        ({"cost": {"force": False}}, "SAYSO_CHECKS: /cost/force: no such name"),
        ({"pii": {"threshold": 2}}, "SAYSO_CHECKS: /pii/threshold: must be at most 1"),
    ],
)
def test_what_makes_no_sense_stops_the_start_with_its_place(checks: Any, said: str) -> None:
    """One line that names the setting and the path."""
    with pytest.raises(SettingsError) as refused:
        load_checks(_settings(checks), BUDGETS)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_moderation_without_a_key_stops_the_start() -> None:
    """It could look at nothing."""
    with pytest.raises(SettingsError, match="/moderation: needs OPENAI_API_KEY"):
        load_checks(_settings(["moderation"], openai_api_key=None), BUDGETS)


@pytest.mark.parametrize("value", ["provider_worker.nowhere:Check", "json:dumps", "provider_worker.checks.base:Check"])
def test_a_broken_check_stops_the_start_where_it_is_wanted(value: str) -> None:
    """A call that should be checked must not go unchecked; a check that is not wanted is not even loaded."""
    found = [EntryPoint("broken", value, GROUP)]
    with pytest.raises(SettingsError, match="SAYSO_CHECKS: /broken: the check cannot be made"):
        load_checks(_settings(["broken"]), BUDGETS, found)
    assert load_checks(_settings(), BUDGETS, found).names == ["cost"]


def test_the_key_of_a_check_is_a_secret() -> None:
    """It never appears in an event, a log or an error."""
    assert load_checks(_settings(["moderation"]), BUDGETS).secrets == ("sk-test-very-secret-key",)


def test_a_check_that_is_named_twice_stops_the_start() -> None:
    """The options of the last one would hold, and those that were meant would not."""
    with pytest.raises(SettingsError, match="two members 'cost'"):
        load_checks(_settings('{"cost": {}, "cost": {"stages": ["payload"]}}'), BUDGETS)
