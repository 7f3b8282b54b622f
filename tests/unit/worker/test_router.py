"""Among a route's candidates one is chosen by order, cost and health, and the history says why."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.providers.routing import Candidate
from contracts.providers.signals import Reason
from provider_worker.errors import DatabaseUnavailable
from provider_worker.preparation.prepare import Preparer
from provider_worker.preparation.route_choice import CIRCUIT_OPEN, Assessed, choose, routing_of
from provider_worker.preparation.routing_rules import Option, RouteRule
from provider_worker.providers.base import ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breaker import CircuitTerms
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.worker.orders import MakePrepare

from .routed_providers import KEY, ROUTES, Buggy, Cheap, Dear, Leaky, among, down, preparer, reasons


async def test_the_cheapest_is_chosen_by_its_estimate(prepare_order: MakePrepare) -> None:
    """The preparation is the chosen provider's, with the candidates and the reason."""
    order = prepare_order(provider="router", model="r")
    prepared = await preparer(r=among("dear", "unpriced", "cheap", choose="cheapest")).prepare(order)
    assert (prepared.provider, prepared.model, prepared.estimate) == ("cheap", "sandbox-1", Decimal("0.0001"))
    assert reasons(prepared) == {"dear": "not_needed", "unpriced": "not_needed", "cheap": "cheapest"}
    routing = prepared.routing
    assert routing is not None
    assert (routing.route, routing.rule, routing.reason.code) == ("r", 1, "cheapest")
    assert [other.provider for other in routing.others] == ["dear", "unpriced"]
    assert routing.considered[0].estimate == Decimal(5)


async def test_the_first_is_chosen_where_order_counts(prepare_order: MakePrepare) -> None:
    """At any cost."""
    prepared = await preparer(r=among("dear", "cheap")).prepare(prepare_order(provider="Router", model="r"))
    assert reasons(prepared) == {"dear": "first", "cheap": "not_needed"}


async def test_what_cannot_be_called_is_passed_over_and_the_history_says_why(prepare_order: MakePrepare) -> None:
    """No key, no such provider, no such model, a payload that is wrong, a provider that is down, one that was tried."""
    circuits = CircuitBreakers(CircuitTerms(failures=1))
    down(circuits, "dear")
    providers = ("openai", "nobody", "broken", "dear", "unpriced", "cheap")
    tried = (Candidate(provider="unpriced", model="sandbox-1"),)
    order = prepare_order(provider="router", model="r", tried=tried)
    prepared = await preparer(circuits, r=among(*providers)).prepare(order)
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
    circuits = CircuitBreakers(CircuitTerms(failures=1))
    down(circuits, "dear", "cheap")
    order = prepare_order(provider="router", model="r")
    prepared = await preparer(circuits, r=among("broken", "dear", "cheap")).prepare(order)
    assert (prepared.provider, reasons(prepared)["dear"]) == ("dear", "last_resort")


async def test_a_reviewer_sees_whether_the_provider_is_up(prepare_order: MakePrepare) -> None:
    """Its circuit stands among its capabilities."""
    circuits = CircuitBreakers(CircuitTerms(failures=1))
    down(circuits, "cheap")
    prepare = preparer(circuits).prepare
    for provider, state in (("cheap", "open"), ("dear", "closed")):
        prepared = await prepare(prepare_order(provider=provider, with_capabilities=True))
        assert prepared.capabilities is not None
        assert prepared.capabilities.circuit == state


async def test_where_nothing_is_left_the_preparation_fails_and_tells_of_each(prepare_order: MakePrepare) -> None:
    """A person sees all candidates."""
    with pytest.raises(ProviderError) as caught:
        await preparer(r=among("broken", "nobody")).prepare(prepare_order(provider="router", model="r"))
    failure = caught.value.failure
    assert failure.code == "route_exhausted"
    assert "There is no such model." in failure.message
    assert "There is no provider nobody." in failure.message


async def test_a_candidates_bug_is_not_the_routes_end_and_shows_no_secret(prepare_order: MakePrepare) -> None:
    """It is passed over like any candidate that cannot draft, and its recorded reason is clean."""
    registry = Registry([Buggy(), Leaky(), Cheap()])
    rules = ROUTES.validate_python({"r": among("buggy", "leaky", "cheap")})
    both = Preparer(registry, MemoryArtifacts(), Sanitizer([KEY]), routes=rules)
    prepared = await both.prepare(prepare_order(provider="router", model="r"))
    assert reasons(prepared) == {"buggy": "provider_bug", "leaky": "model_unknown", "cheap": "only_one"}
    assert KEY not in prepared.model_dump_json()


async def test_while_the_database_is_away_no_candidate_is_blamed(prepare_order: MakePrepare) -> None:
    """The preparation is tried again."""
    artifacts = MemoryArtifacts()
    artifacts.unavailable = True
    rules = ROUTES.validate_python({"r": among("cheap", "dear")})
    routes = Preparer(Registry([Cheap(), Dear()]), artifacts, Sanitizer(), routes=rules)
    with pytest.raises(DatabaseUnavailable):
        await routes.prepare(prepare_order(provider="router", model="r", attachments=(f"artifact:sha256:{'0' * 64}",)))


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
