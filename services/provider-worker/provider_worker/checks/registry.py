"""The installed checks, and the operator's choice among them. Entry points name them, so that one more needs no change here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from chassis.settings import Settings, SettingsError
from contracts.json_text import JsonRefused, read_json
from contracts.providers.signals import COST_CHECK
from provider_worker.budgets.gate import BudgetGate
from provider_worker.checks.base import CHECKS_SETTING, Check, Options, Stage, read_options
from provider_worker.checks.check_runner import CheckRunner, ConfiguredCheck
from provider_worker.checks.cost import CostCheck

GROUP = "sayso.checks"
"""The entry point group; each entry names a subclass of Check."""

_SHAPE: TypeAdapter[list[str] | dict[str, dict[str, Any]]] = TypeAdapter(list[str] | dict[str, dict[str, Any]])


class _Where(Options):
    """The options of every check: its stages, and whether it runs always or only for runs that ask for it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stages: frozenset[Stage] | None = None
    when: Literal["always", "asked"] = "always"


def load_checks(settings: Settings, budgets: BudgetGate, found: Iterable[EntryPoint] | None = None) -> CheckRunner:
    """Make the checks that the operator names, and `cost`. Raises SettingsError.

    One that is named and cannot be made stops the start: calls that should be checked must not go unchecked.
    """
    wanted = _wanted(settings)
    known = {entry.name: entry for entry in (entry_points(group=GROUP) if found is None else found)}
    read_options(Options, COST_CHECK, wanted.pop(COST_CHECK, {}))
    installed = [_make(name, options, known, settings) for name, options in wanted.items()]
    return CheckRunner([ConfiguredCheck(CostCheck(budgets)), *installed])


def _wanted(settings: Settings) -> dict[str, dict[str, Any]]:
    if settings.checks is None:
        return {}
    try:
        shape = _SHAPE.validate_json(settings.checks)
        read_json(settings.checks)
    except JsonRefused as error:
        raise SettingsError(f"{CHECKS_SETTING}: {error}") from None
    except ValidationError:
        message = (
            'neither a JSON list of names nor an object of options by name, as in {"pii": {"stages": ["payload"]}}'
        )
        raise SettingsError(f"{CHECKS_SETTING}: {message}") from None
    return shape if isinstance(shape, dict) else {name: {} for name in shape}


def _make(
    name: str, options: Mapping[str, Any], known: Mapping[str, EntryPoint], settings: Settings
) -> ConfiguredCheck:
    if name not in known:
        choices = ", ".join(sorted({*known, COST_CHECK}))
        raise SettingsError(f"{CHECKS_SETTING}: /{name}: no such check is installed; there are {choices}")
    where = read_options(_Where, name, options)
    own = {option: value for option, value in options.items() if option not in _Where.model_fields}
    try:
        check = known[name].load().from_settings(settings, own)
        if not isinstance(check, Check) or check.name != name:
            raise TypeError(f"{known[name].value} makes no Check of that name")  # noqa: TRY301 - reported like every other failure
    except SettingsError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(f"{CHECKS_SETTING}: /{name}: the check cannot be made: {reason}") from error
    if where.stages is not None and not where.stages <= check.stages:
        able = ", ".join(sorted(check.stages))
        raise SettingsError(f"{CHECKS_SETTING}: /{name}/stages: this check looks at {able} only")
    return ConfiguredCheck(check, where.stages or check.stages, only_asked=where.when == "asked")
