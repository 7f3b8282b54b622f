"""The routes of the settings: the rule that applies, an option's parameters, refused routes, announced ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.settings import Settings, SettingsError, load_settings
from contracts.providers.call import CallIntent
from provider_worker.preparation.route_choice import fitting
from provider_worker.preparation.routing_rules import Option, RouteRule, read_routes
from provider_worker.providers.base import ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.replicate import ReplicateProvider
from testkit.worker.orders import MakePrepare

from .routed_providers import Cheap, among, preparer


def test_routes_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule needs to name its options; without the setting there is no route."""
    registry = Registry([Cheap()])
    assert read_routes(load_settings(_env_file=None), registry) == {}
    monkeypatch.setenv("SAYSO_ROUTES", '{"r": [{"among": [{"provider": "cheap", "model": "m"}]}]}')
    (rule,) = read_routes(load_settings(_env_file=None), registry)["r"]
    assert (rule.choose, rule.among, rule.when.operation) == ("first", (Option(provider="cheap", model="m"),), None)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ('{"r": []}', "SAYSO_ROUTES: /r: must have at least 1 item, and has 0"),
        ('{"r": [{"among": []}]}', "SAYSO_ROUTES: /r/0/among: must have at least 1 item, and has 0"),
        ('{"r": [{"among": [{"model": "m"}]}]}', "SAYSO_ROUTES: /r/0/among/0/provider: is missing"),
        ('{"r": [{"among": [{"provider": "p"}], "chose": "first"}]}', "SAYSO_ROUTES: /r/0/chose: no such name; did you mean `choose`?"),
        ('{"r": [{"among": [{"provider": "p"}], "choose": "best"}]}', "SAYSO_ROUTES: /r/0/choose: must be '"),
        ('{"r": [{"among": [{"provider": "p"}], "when": {"prompt_at_most": -1}}]}', "SAYSO_ROUTES: /r/0/when/prompt_at_most"),
        ('{"r": [{"among": [{"provider": " p"}]}]}', "SAYSO_ROUTES: /r/0/among/0/provider: does not match"),
        ('{"r": [{"among": [{"provider": "p", "model": "m\\n"}]}]}', "SAYSO_ROUTES: /r/0/among/0/model: does not match"),
        ("nonsense", "SAYSO_ROUTES: Invalid JSON: expected"),
    ],
)  # fmt: skip
def test_a_malformed_route_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, written: str, line: str) -> None:
    """In one line that names the setting and the place."""
    monkeypatch.setenv("SAYSO_ROUTES", written)
    with pytest.raises(SettingsError) as refused:
        read_routes(load_settings(_env_file=None), Registry([Cheap()]))
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("intent", "provider"),
    [
        ({"prompt": "short"}, "cheap"),
        ({"prompt": "x" * 20}, "dear"),
        ({"prompt": "short", "operation": "json"}, "sandbox"),
        ({"prompt": "short", "attachments": ("https://example.com/a.png",)}, "unpriced"),
    ],
    ids=["short", "long", "operation", "attachments"],
)
async def test_the_first_rule_that_fits_applies(
    prepare_order: MakePrepare, intent: dict[str, Any], provider: str
) -> None:
    """By operation, by the prompt's length, by whether files come along."""
    rules = [
        *among("sandbox", when={"operation": "json"}),
        *among("unpriced", when={"attachments": True}),
        *among("dear", when={"prompt_at_least": 20}),
        *among("cheap", when={"prompt_at_most": 19}),
    ]
    prepared = await preparer(r=rules).prepare(prepare_order(**{"provider": "router", "model": "r", **intent}))
    assert prepared.provider == provider


@pytest.mark.parametrize(
    ("intent", "said"),
    [
        ({"model": "nothing"}, "There is no route 'nothing'; there are r."),
        ({"model": "r", "prompt": "long" * 10}, "No rule of the route r fits this call."),
    ],
    ids=["no such route", "no rule fits"],
)
async def test_a_route_that_leads_nowhere_is_named(
    prepare_order: MakePrepare, intent: dict[str, Any], said: str
) -> None:
    """With the place in the request, and the choices."""
    routes = preparer(r=among("cheap", when={"prompt_at_most": 10}))
    with pytest.raises(ProviderError) as caught:
        await routes.prepare(prepare_order(**{"provider": "router", **intent}))
    (issue,) = caught.value.failure.issues
    assert (issue.code, issue.path, issue.message) == ("route_unknown", "/model", said)


async def test_an_options_parameters_come_beside_the_intents(prepare_order: MakePrepare) -> None:
    """The request's own parameters win."""
    option = {"provider": "cheap", "model": "sandbox-1", "parameters": {"temperature": 1.5, "max_tokens": 7}}
    order = prepare_order(provider="router", model="r", parameters={"temperature": 0.5})
    prepared = await preparer(r=[{"among": [option]}]).prepare(order)
    assert prepared.payload["parameters"] == {"temperature": 0.5, "max_tokens": 7}


@pytest.mark.parametrize("provider", ["opnai", "router"])
def test_a_route_to_a_provider_that_there_is_not_stops_the_start(provider: str) -> None:
    """In one line that names the place; a route leads to no other route."""
    routes = json.dumps({"r": [*among("cheap"), *among("cheap", provider)]})
    with pytest.raises(SettingsError) as refused:
        read_routes(Settings(_env_file=None, routes=routes), Registry([Cheap()]))
    assert str(refused.value) == "SAYSO_ROUTES: /r/1/among/1/provider: no such provider; known are cheap"


def test_a_route_to_a_model_that_cannot_be_stops_the_start() -> None:
    """Where the vendor's models are named in one way alone."""
    written = '{"r": [{"among": [{"provider": "replicate", "model": "painter"}]}]}'
    with pytest.raises(SettingsError) as refused:
        read_routes(Settings(routes=written), Registry([ReplicateProvider(None, None)]))
    assert str(refused.value).startswith("SAYSO_ROUTES: /r/0/among/0/model: painter is no model of Replicate's")


async def test_without_a_route_there_is_no_router(prepare_order: MakePrepare) -> None:
    """It is an unknown name like any other."""
    with pytest.raises(ProviderError) as caught:
        await preparer().prepare(prepare_order(provider="router"))
    assert caught.value.failure.code == "provider_unknown"
    assert preparer().routes is None


async def test_the_routes_are_shown_as_the_routers_models(prepare_order: MakePrepare) -> None:
    """Among the capabilities; the first is the default."""
    routes = preparer(r=among("cheap", "dear"), other=among("dear"))
    offered = routes.routes
    assert offered is not None
    assert [(model.name, model.description) for model in offered.models] == [
        ("r", "Chooses among cheap/*, dear/*."),
        ("other", "Chooses among dear/*."),
    ]
    assert (await routes.prepare(prepare_order(provider="router"))).provider == "cheap"


@given(st.integers(0, 30))
def test_lengths_are_counted_with_their_bounds(length: int) -> None:
    """At least and at most include the number itself."""
    rule = RouteRule.model_validate({"when": {"prompt_at_least": 5, "prompt_at_most": 9}, "among": [{"provider": "p"}]})
    fits = fitting([rule], CallIntent(provider="router", prompt="x" * length))
    assert (fits == 0) is (5 <= length <= 9)
