"""C5: a route chooses by rule, cost and health, and says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chassis.routes import Option, RouteRule, Routes
from chassis.settings import SettingsError
from contracts.policy import Reason
from contracts.routing import Candidate
from contracts.work import CallIntent, Failure, Preparation, PrepareOrder
from provider_worker.fakes.memory import MemoryShelves
from provider_worker.limits.circuit import Terms
from provider_worker.limits.circuits import Circuits
from provider_worker.ports import StorageUnavailable
from provider_worker.preparing import Preparing
from provider_worker.providers.base import ProviderError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.routing.choosing import CIRCUIT_OPEN, Assessed, choose, fitting, routing_of
from provider_worker.routing.router import refuse_unknown
from provider_worker.sanitizing import Sanitizer

KEY = "sk-a-very-secret-key"
MakePrepare = Callable[..., PrepareOrder]
ROUTES: TypeAdapter[dict[str, tuple[RouteRule, ...]]] = TypeAdapter(Routes)


class Cheap(SandboxProvider):
    """A provider that states a price."""

    name = "cheap"
    price: Decimal | None = Decimal("0.0001")

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:  # noqa: ARG002
        """State it."""
        return self.price


class Dear(Cheap):
    """A provider that asks for more."""

    name = "dear"
    price = Decimal(5)


class Unpriced(Cheap):
    """A provider whose price nobody knows."""

    name = "unpriced"
    price = None


class Broken(Cheap):
    """A provider that cannot draft."""

    name = "broken"

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Refuse."""
        raise ProviderError(Failure(code="model_unknown", message="There is no such model."))


class Buggy(Cheap):
    """A provider full of bugs."""

    name = "buggy"

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Break."""
        raise RuntimeError(KEY)


class Leaky(Cheap):
    """A provider that repeats its key."""

    name = "leaky"

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Refuse."""
        raise ProviderError(Failure(code="model_unknown", message=f"No model for {KEY}."))


def preparing(circuits: Circuits | None = None, **routes: Any) -> Preparing:
    """Return what prepares calls with these routes."""
    registry = Registry([SandboxProvider(), Cheap(), Dear(), Unpriced(), Broken(), OpenAIProvider(None, None)])
    rules = ROUTES.validate_python(routes)
    return Preparing(registry, MemoryShelves(), Sanitizer(), routes=rules, circuits=circuits)


def among(*providers: str, **rule: Any) -> list[dict[str, Any]]:
    """Return the rules of a route that has one."""
    return [{"among": [{"provider": provider} for provider in providers], **rule}]


def down(circuits: Circuits, *providers: str) -> None:
    """Let the last call of each provider have found it down."""
    for provider in providers:
        with pytest.raises(ProviderError), circuits.watching(provider):
            raise ProviderError(Failure(code="connection_failed", message="no"))


def reasons(preparation: Preparation) -> dict[str, str]:
    """Return why each candidate was chosen or not."""
    assert preparation.routing is not None
    return {one.provider: one.reason.code for one in preparation.routing.considered}


async def test_the_cheapest_is_chosen_by_its_estimate(prepare_order: MakePrepare) -> None:
    """The preparation is the chosen provider's, and says among what it was chosen, and why."""
    order = prepare_order(provider="router", model="r")
    prepared = await preparing(r=among("dear", "unpriced", "cheap", choose="cheapest")).prepare(order)
    assert (prepared.provider, prepared.model, prepared.estimate) == ("cheap", "sandbox-1", Decimal("0.0001"))
    assert reasons(prepared) == {"dear": "not_needed", "unpriced": "not_needed", "cheap": "cheapest"}
    routing = prepared.routing
    assert routing is not None
    assert (routing.route, routing.rule, routing.reason.code) == ("r", 1, "cheapest")
    assert [other.provider for other in routing.others] == ["dear", "unpriced"]
    assert routing.considered[0].estimate == Decimal(5)


async def test_the_first_is_chosen_where_order_counts(prepare_order: MakePrepare) -> None:
    """Whatever it costs."""
    prepared = await preparing(r=among("dear", "cheap")).prepare(prepare_order(provider="Router", model="r"))
    assert reasons(prepared) == {"dear": "first", "cheap": "not_needed"}


async def test_what_cannot_be_called_is_passed_over_and_the_history_says_why(prepare_order: MakePrepare) -> None:
    """No key, no such provider, no such model, a payload that is wrong, a provider that is down, one that was tried."""
    circuits = Circuits(Terms(failures=1))
    down(circuits, "dear")
    providers = ("openai", "nobody", "broken", "dear", "unpriced", "cheap")
    tried = (Candidate(provider="unpriced", model="sandbox-1"),)
    order = prepare_order(provider="router", model="r", tried=tried)
    prepared = await preparing(circuits, r=among(*providers)).prepare(order)
    assert reasons(prepared) == {
        "openai": "provider_unconfigured",
        "nobody": "provider_unknown",
        "broken": "model_unknown",
        "dear": "circuit_open",
        "unpriced": "tried",
        "cheap": "only_one",
    }
    assert prepared.routing is not None
    assert prepared.routing.others == ()


async def test_rather_than_nobody_who_is_down_is_chosen(prepare_order: MakePrepare) -> None:
    """It may be up again by the time of the call."""
    circuits = Circuits(Terms(failures=1))
    down(circuits, "dear", "cheap")
    order = prepare_order(provider="router", model="r")
    prepared = await preparing(circuits, r=among("broken", "dear", "cheap")).prepare(order)
    assert (prepared.provider, reasons(prepared)["dear"]) == ("dear", "last_resort")


async def test_a_reviewer_sees_whether_the_provider_is_up(prepare_order: MakePrepare) -> None:
    """C4: its circuit stands among its capabilities."""
    circuits = Circuits(Terms(failures=1))
    down(circuits, "cheap")
    prepare = preparing(circuits).prepare
    for provider, state in (("cheap", "open"), ("dear", "closed")):
        prepared = await prepare(prepare_order(provider=provider, with_capabilities=True))
        assert prepared.capabilities is not None
        assert prepared.capabilities.circuit == state


async def test_where_nothing_is_left_the_preparation_fails_and_tells_of_each(prepare_order: MakePrepare) -> None:
    """A person sees what was looked at."""
    with pytest.raises(ProviderError) as caught:
        await preparing(r=among("broken", "nobody")).prepare(prepare_order(provider="router", model="r"))
    failure = caught.value.failure
    assert failure.code == "route_exhausted"
    assert "There is no such model." in failure.message
    assert "There is no provider nobody." in failure.message


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
    prepared = await preparing(r=rules).prepare(prepare_order(**{"provider": "router", "model": "r", **intent}))
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
    routes = preparing(r=among("cheap", when={"prompt_at_most": 10}))
    with pytest.raises(ProviderError) as caught:
        await routes.prepare(prepare_order(**{"provider": "router", **intent}))
    (issue,) = caught.value.failure.issues
    assert (issue.code, issue.path, issue.message) == ("route_unknown", "/model", said)


async def test_an_options_parameters_come_beside_the_intents(prepare_order: MakePrepare) -> None:
    """What the request says wins."""
    option = {"provider": "cheap", "model": "sandbox-1", "parameters": {"temperature": 1.5, "max_tokens": 7}}
    order = prepare_order(provider="router", model="r", parameters={"temperature": 0.5})
    prepared = await preparing(r=[{"among": [option]}]).prepare(order)
    assert prepared.payload["parameters"] == {"temperature": 0.5, "max_tokens": 7}


async def test_a_candidates_bug_is_not_the_routes_end_and_shows_no_secret(prepare_order: MakePrepare) -> None:
    """It is passed over like any that cannot draft; what is recorded of it is clean."""
    registry = Registry([Buggy(), Leaky(), Cheap()])
    rules = ROUTES.validate_python({"r": among("buggy", "leaky", "cheap")})
    both = Preparing(registry, MemoryShelves(), Sanitizer([KEY]), routes=rules)
    prepared = await both.prepare(prepare_order(provider="router", model="r"))
    assert reasons(prepared) == {"buggy": "provider_bug", "leaky": "model_unknown", "cheap": "only_one"}
    assert KEY not in prepared.model_dump_json()


async def test_while_the_database_is_away_no_candidate_is_blamed(prepare_order: MakePrepare) -> None:
    """The preparation is tried again."""
    shelves = MemoryShelves()
    shelves.away = True
    rules = ROUTES.validate_python({"r": among("cheap", "dear")})
    routes = Preparing(Registry([Cheap(), Dear()]), shelves, Sanitizer(), routes=rules)
    with pytest.raises(StorageUnavailable):
        await routes.prepare(prepare_order(provider="router", model="r", attachments=(f"artifact:sha256:{'0' * 64}",)))


@pytest.mark.parametrize("provider", ["opnai", "router"])
def test_a_route_to_a_provider_that_there_is_not_stops_the_start(provider: str) -> None:
    """In one line that names the place; a route leads to no other route."""
    routes = ROUTES.validate_python({"r": [*among("cheap"), *among("cheap", provider)]})
    with pytest.raises(SettingsError) as refused:
        refuse_unknown(routes, Registry([Cheap()]))
    assert str(refused.value) == "COUNTERSIGN_ROUTES: /r/1/among/1/provider: no such provider; known are cheap"


async def test_without_a_route_there_is_no_router(prepare_order: MakePrepare) -> None:
    """It is a name like any other that nobody has."""
    with pytest.raises(ProviderError) as caught:
        await preparing().prepare(prepare_order(provider="router"))
    assert caught.value.failure.code == "provider_unknown"
    assert preparing().router.capabilities() is None


async def test_the_routes_are_shown_as_the_routers_models(prepare_order: MakePrepare) -> None:
    """Where people look for what can be asked for; the first is what is meant by none."""
    routes = preparing(r=among("cheap", "dear"), other=among("dear"))
    offered = routes.router.capabilities()
    assert offered is not None
    assert [(model.name, model.description) for model in offered.models] == [
        ("r", "Chooses among cheap/*, dear/*."),
        ("other", "Chooses among dear/*."),
    ]
    assert (await routes.prepare(prepare_order(provider="router"))).provider == "cheap"


COSTS = st.none() | st.sampled_from([Decimal(0), Decimal(1), Decimal("0.5")])
OBSTACLES = st.none() | st.sampled_from(["tried", CIRCUIT_OPEN]).map(lambda code: Reason(code=code, message="no"))
CANDIDATES = st.lists(st.builds(Assessed, st.just(Option(provider="p")), st.just("m"), COSTS, OBSTACLES), min_size=1)


@given(CANDIDATES, st.sampled_from(["first", "cheapest"]))
def test_a_choice_is_always_the_best_that_can_be_called(assessed: list[Assessed], how: str) -> None:
    """Nothing with an obstacle while something is without one; nothing dearer than another where cost counts."""
    rule = RouteRule(choose=how, among=(Option(provider="p"),))
    choice, able = choose(assessed, rule), [one for one in assessed if one.obstacle is None]
    if choice is None:
        assert not able
        assert all(one.obstacle and one.obstacle.code != CIRCUIT_OPEN for one in assessed)
        return
    chosen, reason = choice
    if able:
        assert assessed[chosen].obstacle is None
        costs = [one.estimate for one in able if one.estimate is not None]
        if how == "cheapest" and costs:
            assert assessed[chosen].estimate == min(costs)
        else:
            assert assessed[chosen] is able[0]
    recorded = routing_of("r", 0, assessed, chosen, reason)
    assert len(recorded.considered) == len(assessed)
    assert len(recorded.others) == max(0, len(able) - 1)


@given(st.integers(0, 30))
def test_lengths_are_counted_with_their_bounds(length: int) -> None:
    """At least and at most include the number itself."""
    rule = RouteRule.model_validate({"when": {"prompt_at_least": 5, "prompt_at_most": 9}, "among": [{"provider": "p"}]})
    fits = fitting([rule], CallIntent(provider="router", prompt="x" * length))
    assert (fits == 0) is (5 <= length <= 9)
