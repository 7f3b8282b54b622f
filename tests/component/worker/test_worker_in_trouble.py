"""Workers that start, stop, and lose PostgreSQL or Kafka."""

from __future__ import annotations

import asyncio

import pytest

from apache_kafka.broker import RealKafka
from contracts.providers.orders import Order
from fake_vendors.openai import FakeOpenAI
from local_stack.postgres.server import Postgres
from local_stack.wait import until
from testkit.kafka.servers import Kafka
from testkit.postgres.unreliable import execute
from testkit.worker.orders import a_prepare_order, an_execute_order

from .running_worker import KafkaBench, RunningWorker, kafka_bench_on, worker_on

_FULL = """
CREATE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON worker.claims FOR EACH STATEMENT EXECUTE FUNCTION public.disk_is_full()"""


async def test_orders_are_answered_on_either_kafka(any_kafka: Kafka, postgres_url: str) -> None:
    """The embedded broker and the real one: the same worker, the same answers."""
    async with kafka_bench_on(any_kafka.bootstrap) as kafka, worker_on(any_kafka.bootstrap, postgres_url) as worker:
        await worker.until_ready()
        orders: list[Order] = [a_prepare_order(), an_execute_order(), an_execute_order(operation="json")]
        await kafka.order(*orders)
        kinds = [(await kafka.answers.answer(order)).kind for order in orders]
    assert kinds == ["record-preparation.v1", "record-execution.v1", "record-execution.v1"]


async def test_while_postgresql_is_away_orders_wait_and_are_answered_when_it_is_back(
    kafka: KafkaBench, private_postgres: Postgres
) -> None:
    """The process lives and its health names the cause; nothing is lost and nothing needs a restart."""
    async with worker_on(kafka.bootstrap, private_postgres.url()) as worker:
        await worker.until_ready()
        await private_postgres.stop()
        orders = [an_execute_order() for _ in range(3)]
        await kafka.order(*orders)
        health = await worker.health()
        assert health["status"] == "unready"
        assert health["checks"]["kafka"] == "ok"
        assert "postgres" in [name for name, state in health["checks"].items() if state != "ok"]
        assert [kafka.answers.about(order) for order in orders] == [[], [], []]
        await private_postgres.start()
        for order in orders:
            assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
        await worker.until_ready()


async def test_calls_that_are_held_are_an_obstacle_to_readiness(kafka: KafkaBench, postgres_url: str) -> None:
    """A disk is full under one table: the database answers, no call can be claimed, and readiness says so until it can."""
    async with worker_on(kafka.bootstrap, postgres_url) as worker:
        await worker.until_ready()
        await execute(postgres_url, _FULL)
        order = an_execute_order()
        await kafka.order(order)

        async def is_held() -> bool:
            return "calls are held: could not extend file" in (await worker.health())["checks"]["postgres"]

        await until(is_held, 20, "the call is held")
        await execute(postgres_url, "DROP TRIGGER full_disk ON worker.claims")
        assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
        await worker.until_ready()


async def test_tables_that_are_gone_are_made_again(kafka: KafkaBench, postgres_url: str) -> None:
    """A server that took over may lack them: the worker makes its own, without a restart."""
    async with worker_on(kafka.bootstrap, postgres_url) as worker:
        await worker.until_ready()
        await execute(postgres_url, "DROP SCHEMA worker CASCADE")
        order = an_execute_order()
        await kafka.order(order)
        assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
        await worker.until_ready()


async def test_a_worker_starts_while_postgresql_is_away(kafka: KafkaBench, private_postgres: Postgres) -> None:
    """It answers for its health at once and takes orders when it can."""
    await private_postgres.stop()
    async with worker_on(kafka.bootstrap, private_postgres.url()) as worker:
        assert (await worker.health())["status"] == "unready"
        order = an_execute_order()
        await kafka.order(order)
        await private_postgres.start()
        assert (await kafka.answers.answer(order)).kind == "record-execution.v1"


async def test_a_call_is_made_once_though_the_worker_is_started_again(
    kafka: KafkaBench, postgres_url: str, vendor_url: str, vendor_calls: FakeOpenAI
) -> None:
    """A second worker finds the first one's call claimed."""
    order = an_execute_order(provider="openai", prompt="begun before")
    async with worker_on(kafka.bootstrap, postgres_url, openai_base_url=vendor_url) as first:
        await first.until_ready()
        await kafka.order(order)
        await kafka.answers.answer(order)
    last = an_execute_order(provider="openai", prompt="begun after", run_id=order.run_id)
    await kafka.order(order, last)
    async with worker_on(kafka.bootstrap, postgres_url, openai_base_url=vendor_url):
        await kafka.answers.of_kind(order, "record-execution.v1", 2)
    prompts = [body["messages"][0]["content"] for body in vendor_calls.bodies]
    assert (prompts.count("begun before"), prompts.count("begun after")) == (1, 1)


async def test_workers_that_come_and_go_lose_nothing_and_call_nothing_twice(
    kafka: KafkaBench, postgres_url: str, vendor_url: str, vendor_calls: FakeOpenAI
) -> None:
    """A second worker joins while orders are under way, then the first leaves: every order is answered, each call made once."""
    orders = [an_execute_order(provider="openai", prompt=f"order {number}") for number in range(120)]
    settings = {"openai_base_url": vendor_url, "worker_concurrency": 4}
    async with worker_on(kafka.bootstrap, postgres_url, **settings) as staying:
        async with worker_on(kafka.bootstrap, postgres_url, **settings) as leaving:
            await leaving.until_ready()
            for order in orders[:60]:
                await kafka.order(order)
            await staying.until_ready()
        await kafka.order(*orders[60:])
        for order in orders:
            assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
    prompts = [body["messages"][0]["content"] for body in vendor_calls.bodies]
    assert {prompts.count(f"order {number}") for number in range(120)} == {1}


async def test_what_runs_when_a_worker_is_stopped_is_still_answered(kafka: KafkaBench, postgres_url: str) -> None:
    """Within its grace."""
    order = an_execute_order(parameters={"fault": "slow", "delay_seconds": 1}, lease_seconds=1)
    async with worker_on(kafka.bootstrap, postgres_url):
        await kafka.order(order)
        await kafka.answers.of_kind(order, "extend-lease.v1")
    assert (await kafka.answers.answer(order)).kind == "record-execution.v1"


async def test_while_kafka_is_away_answers_wait_and_arrive_when_it_is_back(
    private_kafka: RealKafka, postgres_url: str
) -> None:
    """The process lives; the made call is answered, and orders go on."""
    async with (
        kafka_bench_on(private_kafka.bootstrap) as kafka,
        worker_on(private_kafka.bootstrap, postgres_url) as worker,
    ):
        await worker.until_ready()
        order = an_execute_order(parameters={"fault": "slow", "delay_seconds": 3}, lease_seconds=1)
        await kafka.order(order)
        await kafka.answers.of_kind(order, "extend-lease.v1")
        private_kafka.kill()
        assert await _says(worker, "unready")
        await private_kafka.start()
        assert (await kafka.answers.answer(order)).kind == "record-execution.v1"
        later = a_prepare_order()
        await kafka.order(later)
        assert (await kafka.answers.answer(later)).kind == "record-preparation.v1"


async def _says(worker: RunningWorker, status: str) -> bool:
    async with asyncio.timeout(30):
        while (await worker.health())["status"] != status:  # noqa: ASYNC110 - health is asked over HTTP
            await asyncio.sleep(0.1)
    return True


pytestmark = pytest.mark.timeout(180)
