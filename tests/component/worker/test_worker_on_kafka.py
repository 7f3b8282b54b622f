"""A real worker on a real Kafka and a real PostgreSQL: orders in, records out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from artifacts.store import ArtifactStore, parse_ref
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import Order
from contracts.topics import CATALOG, WORK
from fake_vendors.openai import FakeOpenAI
from messaging.records import Outgoing
from provider_worker.adapters.postgres.database import Database
from testkit.kafka.topic_records import records_of
from testkit.worker.orders import a_prepare_order, an_execute_order

from .running_worker import KEY, KafkaBench, RunningWorker

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_prepare_order_comes_back_as_a_preparation(kafka: KafkaBench) -> None:
    """With payload, schema, issues, estimate and signals, in the order's tenant."""
    order = a_prepare_order(parameters={"temperature": 5}, tenant="globex")
    await kafka.order(order)
    said = await kafka.answers.answer(order)
    assert (said.kind, said.tenant, said.actor) == ("record-preparation.v1", "globex", "worker:sandbox")
    preparation = said.preparation
    assert preparation.payload["parameters"] == {"temperature": 5}
    assert preparation.issues[0].suggested_fix == {"parameters": {"temperature": 2}}
    assert preparation.payload_schema["properties"]
    assert preparation.estimate > 0


async def test_an_image_is_drawn_and_kept_for_its_tenant_alone(kafka: KafkaBench, module_postgres_url: str) -> None:
    """The record holds a ref; the bytes are in PostgreSQL."""
    order = an_execute_order(operation="image", prompt="a red bicycle", parameters={"size": "256x256"}, tenant="globex")
    await kafka.order(order)
    (ref,) = (await kafka.answers.answer(order)).execution.response["images"]
    database = Database(module_postgres_url)
    await database.connect()
    store = ArtifactStore(database.pool)
    artifact, body = await store.get("globex", parse_ref(ref)) or pytest.fail("kept nowhere")
    assert (artifact.media_type, body[:4]) == ("image/png", b"\x89PNG")
    assert await store.get("acme", parse_ref(ref)) is None
    database.close()


async def test_a_large_answer_travels_as_an_artifact(kafka: KafkaBench) -> None:
    """The record stays small."""
    long = {"type": "string", "minLength": 20_000, "maxLength": 20_000}
    schema = {
        "type": "object",
        "properties": {f"p{n}": long for n in range(20)},
        "required": [f"p{n}" for n in range(20)],
    }
    order = an_execute_order(operation="json", parameters={"schema": schema})
    await kafka.order(order)
    execution = (await kafka.answers.answer(order)).execution
    assert execution.raw["size"] > 400_000
    assert execution.response["artifact"].startswith("artifact:sha256:")
    assert len(execution.model_dump_json()) < 10_000


async def test_a_redelivered_call_is_made_once(kafka: KafkaBench, vendor_calls: FakeOpenAI) -> None:
    """Published five times, called once; an order after it on the same partition shows that all five were read."""
    order = an_execute_order(provider="openai", prompt="once only")
    last = an_execute_order(provider="openai", prompt="the last", run_id=order.run_id)
    for _ in range(5):
        await kafka.order(order)
    await kafka.order(last)
    await kafka.answers.of_kind(order, "record-execution.v1", 2)
    prompts = [body["messages"][0]["content"] for body in vendor_calls.bodies]
    assert (prompts.count("once only"), prompts.count("the last")) == (1, 1)


async def test_a_slow_call_keeps_its_lease(kafka: KafkaBench) -> None:
    """The worker says that it is still at it until the answer is there."""
    order = an_execute_order(lease_seconds=1, parameters={"fault": "slow", "delay_seconds": 2})
    await kafka.order(order)
    await kafka.answers.answer(order)
    extensions = await kafka.answers.of_kind(order, "extend-lease.v1", 2)
    assert len({said.command_id for said in extensions}) == len(extensions)


async def test_a_malformed_order_goes_to_the_dead_letters_and_the_next_is_answered(kafka: KafkaBench) -> None:
    """Its bytes as they came, the reason and its place in headers."""
    order = a_prepare_order()
    key = str(order.run_id).encode()
    body = b'{"kind": "execute.v1", "mark": "' + key + b'"}'
    await kafka.producer.send(Outgoing(WORK.name, key, body, [("odd", b"\xff\xfe")]))
    await kafka.order(order)
    await kafka.answers.answer(order)
    (dead,) = [record for record in await records_of(kafka.bootstrap, WORK.dead) if record.value == body]
    headers = dict(dead.headers)
    assert headers["odd"] == b"\xff\xfe"
    assert headers["source-topic"] == WORK.name.encode()
    assert b"run_id" in headers["error"]


async def test_failures_are_told_with_their_code(kafka: KafkaBench) -> None:
    """Unknown provider, other bytes than approved, a fault of the vendor."""
    orders: dict[str, Order] = {
        "provider_unknown": a_prepare_order(provider="nobody"),
        "payload_mismatch": an_execute_order(payload_sha256="0" * 64),
        "rate_limited": an_execute_order(provider="openai", model="fault-429"),
        "connection_lost": an_execute_order(provider="openai", model="fault-reset"),
    }
    await kafka.order(*orders.values())
    failures = {code: (await kafka.answers.answer(order)).failure for code, order in orders.items()}
    assert {code: failure.code for code, failure in failures.items()} == {code: code for code in orders}
    assert failures["rate_limited"].retry_after == 7
    assert [code for code, failure in failures.items() if failure.uncertain] == ["connection_lost"]


async def test_a_late_order_is_not_begun(kafka: KafkaBench, vendor_calls: FakeOpenAI) -> None:
    """The run has asked otherwise by then."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    late = an_execute_order(provider="openai", prompt="too late", deadline=past)
    timely = an_execute_order(provider="openai", prompt="in time", run_id=late.run_id)
    await kafka.order(late, timely)
    assert (await kafka.answers.answer(timely)).work_id == timely.work_id
    assert "too late" not in [body["messages"][0]["content"] for body in vendor_calls.bodies]


async def test_the_key_is_in_no_record(kafka: KafkaBench, caplog: pytest.LogCaptureFixture) -> None:
    """Not even when a prompt and a model repeat it."""
    orders: list[Order] = [
        a_prepare_order(provider="openai", prompt=f"my key is {KEY}"),
        an_execute_order(provider=f"x{KEY}"),
    ]
    await kafka.order(*orders)
    for order in orders:
        assert KEY not in (await kafka.answers.answer(order)).model_dump_json()
    assert KEY not in caplog.text


async def test_the_catalog_names_every_provider(kafka: KafkaBench, worker: RunningWorker) -> None:
    """The gateway validates names by it."""
    await worker.until_ready()
    latest: dict[bytes, Any] = {}
    while not {b"sandbox", b"openai"} <= set(latest):
        latest = {record.key: record.value for record in await records_of(kafka.bootstrap, CATALOG.name)}
    sandbox = Capabilities.model_validate_json(latest[b"sandbox"])
    assert sandbox.safe_to_repeat
    assert Capabilities.model_validate_json(latest[b"openai"]).configured


async def test_health_and_metrics_are_served(kafka: KafkaBench, worker: RunningWorker) -> None:
    """Ready with its checks by name; orders counted by what became of them."""
    order = a_prepare_order()
    await kafka.order(order)
    await kafka.answers.answer(order)
    assert await worker.health() == {"status": "ready", "checks": {"kafka": "ok", "postgres": "ok"}}
    metrics = (await worker.http.get("/metrics")).text
    assert 'sayso_worker_orders_total{kind="prepare.v1",outcome="done",provider="sandbox"}' in metrics
    assert json.dumps(metrics).count(KEY) == 0
