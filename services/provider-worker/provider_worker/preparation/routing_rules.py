"""The rules of `SAYSO_ROUTES`: by a route's name its rules, of which the first that fits an intent applies. Chooses nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.settings import Settings, SettingsError, parse_json_setting
from provider_worker.providers.registry import Registry

SETTING = "SAYSO_ROUTES"

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?$")]
"""A name without spaces around it: with them it would be another one, which is found nowhere."""


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Rule):
    """The conditions under which a rule fits an intent; an omitted one always holds. Lengths are in characters."""

    operation: Name | None = None
    prompt_at_least: Annotated[int, Field(ge=0)] | None = None
    prompt_at_most: Annotated[int, Field(ge=0)] | None = None
    attachments: bool | None = None


class Option(_Rule):
    """A provider and model that a rule may choose, and the parameters that it takes beside the intent's own."""

    provider: Name
    model: Name | None = None
    parameters: dict[str, Any] = {}


class RouteRule(_Rule):
    """One rule: among the options that can be called now, the `first`, or the `cheapest` by its estimate."""

    when: When = When()
    choose: Literal["first", "cheapest"] = "first"
    among: Annotated[tuple[Option, ...], Field(min_length=1, max_length=20)]


Rules = Annotated[tuple[RouteRule, ...], Field(min_length=1, max_length=100)]
Routes = dict[Name, Rules]


def read_routes(settings: Settings, registry: Registry) -> Routes:
    """Read the routes by name. Raises SettingsError naming the place, also of a provider that is not installed."""
    if settings.routes is None:
        return {}
    routes = parse_json_setting(SETTING, settings.routes, Routes)
    for route, rules in routes.items():
        for number, rule in enumerate(rules):
            for place, option in enumerate(rule.among):
                _check(option, f"/{route}/{number}/among/{place}", registry)
    return routes


def _check(option: Option, path: str, registry: Registry) -> None:
    provider = registry.find(option.provider)
    if provider is None:
        raise SettingsError(f"{SETTING}: {path}/provider: no such provider; known are {', '.join(registry.names)}")
    why = None if option.model is None else provider.refuses_model(option.model)
    if why is not None:
        raise SettingsError(f"{SETTING}: {path}/model: {option.model} {why}")
