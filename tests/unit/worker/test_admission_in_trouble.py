"""Calls that wait for their slots while the provider is down or full, or the database is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from contracts.providers.call import Failure
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import ExecuteOrder
from contracts.topics import CATALOG
from provider_worker.catalog import Catalog
from provider_worker.rate_limits.circuit_breaker import CircuitTerms
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.rate_limits.gcra import Pace
from provider_worker.rate_limits.reservations import Rule
from provider_worker.sanitizer import Sanitizer

from .rate_limit_bench import ONE_A_MINUTE, ONE_AT_ONCE, RateLimitBench

MakeExecute = Callable[..., ExecuteOrder]


async def test_while_the_database_is_away_no_limited_call_begins(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """It waits, and begins when the database is back."""
    bench = open_benches(ONE_A_MINUTE)
    bench.reservations.unavailable = True
    await bench.take(scarce_order())
    await bench.until_waiting(1)
    assert bench.scarce.begun == []
    bench.reservations.unavailable = False
    await bench.scarce.until_begun(1)


@pytest.mark.parametrize(("code", "status"), [("rate_limited", 429), ("provider_error", 503), ("provider_error", 529)])
async def test_a_retry_after_closes_the_account_for_every_worker(
    code: str, status: int, open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """No worker gets a slot before it."""
    bench = open_benches(Rule("acme", Pace(0.01, burst=5)))
    bench.scarce.failure = Failure(code=code, message="", status=status, retryable=True, retry_after=600)
    admission, _, other = bench.another()
    await bench.take(scarce_order())
    await bench.publisher.until_answered(1)
    reserved = await bench.reservations.reserve(bench.rule, "anybody", 0, [0])
    assert reserved.begins_in == []
    assert reserved.again_in > 590
    await bench.take(scarce_order(), worker=other)
    while not admission.waiting:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0.01)
    assert len(bench.scarce.begun) == 1


async def test_the_pause_of_a_circuit_is_one_workers_own_and_closes_the_account_for_nobody(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """A call that had its slot when the circuit opened is answered with `circuit_open`, which no provider said."""
    bench = open_benches(
        Rule("acme", Pace(0.1, burst=1), places=2), circuits=CircuitBreakers(CircuitTerms(failures=1, seconds=600))
    )
    bench.scarce.failure = Failure(code="connection_failed", message="down", retryable=True)
    await bench.take(*(scarce_order() for _ in range(2)))
    await bench.publisher.until_answered(2)
    assert [failure.code for failure in bench.told_failures()] == ["connection_failed", "circuit_open"]
    reserved = await bench.reservations.reserve(bench.rule, "anybody", 0, [0])
    assert len(reserved.begins_in) == 1


async def test_when_the_circuit_opens_what_waits_is_answered_and_nothing_is_called(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute
) -> None:
    """At once and retryable: the runs come again when the provider may be up."""
    bench = open_benches(ONE_A_MINUTE, circuits=CircuitBreakers(CircuitTerms(failures=1, seconds=600)))
    bench.scarce.failure = Failure(code="connection_failed", message="down", retryable=True)
    await bench.take(*(scarce_order() for _ in range(5)))
    await bench.publisher.until_answered(5)
    assert [failure.code for failure in bench.told_failures()] == ["connection_failed"] + ["circuit_open"] * 4
    assert len(bench.scarce.begun) == 1
    answer = bench.told_failures()[-1]
    assert (answer.retryable, answer.uncertain) == (True, False)
    assert 590 < (answer.retry_after or 0) <= 600


async def test_an_open_circuit_is_answered_by_the_owner_of_a_call_alone(
    open_benches: Callable[..., RateLimitBench], scarce_order: MakeExecute, execute_order: MakeExecute
) -> None:
    """A worker that is given an order again whose call another makes must not say that nothing was called."""
    bench = open_benches(ONE_AT_ONCE)
    bench.scarce.failure = Failure(code="connection_failed", message="down", retryable=True)
    await bench.take(*(scarce_order() for _ in range(2)))
    await bench.publisher.until_answered(2)
    made, last = scarce_order(), execute_order()
    await bench.claims.claim([made], "another worker")
    await bench.take(made, last)
    await bench.publisher.until_answered(3)
    await bench.worker.stop(5)
    assert made.work_id not in {said.work_id for said in bench.publisher.commands}


async def test_the_circuit_guards_providers_without_limits_too(
    open_benches: Callable[..., RateLimitBench], execute_order: MakeExecute
) -> None:
    """And the catalog says so."""
    bench = open_benches(ONE_A_MINUTE)
    faults = [execute_order(parameters={"fault": "500"}) for _ in range(2)]
    await bench.take(*faults)
    await bench.publisher.until_answered(2)
    assert [failure.status for failure in bench.told_failures()] == [500, 500]
    await bench.take(execute_order())
    await bench.publisher.until_answered(3)
    assert bench.told_failures()[-1].code == "circuit_open"
    await Catalog(bench.registry, bench.publisher, Sanitizer(), bench.circuits).announce()
    said = [Capabilities.model_validate_json(r.value or b"") for r in bench.publisher.sent if r.topic == CATALOG.name]
    assert {told.provider: told.circuit for told in said} == {"sandbox": "open", "scarce": "closed"}
