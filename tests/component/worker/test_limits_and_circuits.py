"""Limits and circuits through whole workers: real Kafka, real PostgreSQL, a fake OpenAI over HTTP."""

from __future__ import annotations

import json
from typing import Any

from contracts.providers.capabilities import Capabilities
from contracts.topics import CATALOG
from fake_vendors.openai import FakeOpenAI
from testkit.kafka.topic_records import records_of
from testkit.worker.orders import an_execute_order

from .running_worker import KafkaBench, serving, worker_on


async def test_two_workers_together_begin_no_more_than_their_account_allows(
    kafka: KafkaBench, postgres_url: str
) -> None:
    """They hold one key: of three calls half a minute apart two wait, in either worker; other providers' do not.

    When both stop, another worker begins the waiting calls.
    """
    vendor = FakeOpenAI()
    limits = '{"openai": {"requests_per_minute": 2}}'
    async with serving(vendor.app()) as url:
        settings = {"openai_base_url": f"{url}/v1", "openai_api_key": "sk-of-both", "limits": limits}
        async with (
            worker_on(kafka.bootstrap, postgres_url, **settings) as ann,
            worker_on(kafka.bootstrap, postgres_url, **settings) as bob,
        ):
            await ann.until_ready()
            await bob.until_ready()
            orders = [an_execute_order(provider="openai", prompt=f"limited {number}") for number in range(3)]
            free = [an_execute_order() for _ in range(20)]
            await kafka.order(*orders, *free)
            for order in free:
                assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
            await kafka.answers.until(
                lambda: [order for order in orders if _kinds(kafka, order)[-1:] == ["record-execution.v1"]], 1
            )
            assert vendor.calls.total() == 1
            assert sum(_kinds(kafka, order) == [] for order in orders) == 2
        async with worker_on(kafka.bootstrap, postgres_url, openai_base_url=f"{url}/v1"):
            for order in orders:
                assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
    assert sorted(map(vendor.prompt_of, vendor.bodies)) == ["limited 0", "limited 1", "limited 2"]


async def test_a_provider_that_is_down_is_not_asked_and_the_catalog_says_so(
    kafka: KafkaBench, postgres_url: str
) -> None:
    """Then one call finds out that it is up again, and all go through."""
    vendor = FakeOpenAI()
    async with serving(vendor.app()) as url:
        settings: dict[str, Any] = {"circuit_failures": 3, "circuit_seconds": 3}
        async with worker_on(kafka.bootstrap, postgres_url, openai_base_url=f"{url}/v1", **settings) as worker:
            await worker.until_ready()
            for _ in range(3):
                failed = an_execute_order(provider="openai", model="fault-500")
                await kafka.order(failed)
                assert (await kafka.answers.answer(failed)).failure.code == "provider_error"
            refused = an_execute_order(provider="openai")
            await kafka.order(refused)
            failure = (await kafka.answers.answer(refused)).failure
            assert (failure.code, failure.retryable, failure.uncertain) == ("circuit_open", True, False)
            assert 0 < failure.retry_after <= 3
            assert [body["model"] for body in vendor.bodies] == ["fault-500"] * 3
            assert 'sayso_worker_circuit{provider="openai"} 2.0' in (await worker.http.get("/metrics")).text
            states = ["open"]
            while states[-1] != "half_open":
                told = [json.loads(record.value) for record in await records_of(kafka.bootstrap, CATALOG.name)]
                states = [Capabilities(**said).circuit for said in told if said["provider"] == "openai"]
            assert "open" in states
            answered = an_execute_order(provider="openai")
            await kafka.order(answered)
            assert (await kafka.answers.answer(answered)).kind == "record-execution.v1"


def _kinds(kafka: KafkaBench, order: Any) -> list[str]:
    return [said.kind for said in kafka.answers.about(order)]
