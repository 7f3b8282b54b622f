"""The worker's whole application on memory: an order goes in and its answer comes out, without PostgreSQL and Kafka."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from chassis.settings import Settings, SettingsError
from contracts.providers.capabilities import Capabilities
from contracts.runs.commands import RecordExecution, RecordFailure, RecordPreparation
from contracts.topics import CATALOG
from provider_worker.testing.app import MemoryWorker
from testkit.worker.orders import a_prepare_order, an_execute_order


@contextlib.asynccontextmanager
async def running(worker: MemoryWorker, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a worker's application, and give a client of its HTTP side once it takes orders."""
    app = worker.app(Settings(_env_file=None, **settings))
    async with app.router.lifespan_context(app):
        await worker.transport.until_received()
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://worker") as client:
            yield client
    assert app.state.background.failure is None


async def test_an_order_goes_in_and_its_answer_comes_out() -> None:
    """Its offset is committed, and the process is ready."""
    worker = MemoryWorker()
    async with running(worker) as client:
        prepare, execute = a_prepare_order(), an_execute_order()
        await worker.transport.order(prepare, execute)
        answers = {answer.work_id: answer for answer in await worker.transport.publisher.until(2)}
        assert isinstance(answers[prepare.work_id], RecordPreparation)
        assert isinstance(answers[execute.work_id], RecordExecution)
        assert worker.transport.committed == {0: 2}
        assert (await client.get("/health/ready")).json()["checks"] == {"kafka": "ok", "postgres": "ok"}
        assert 'sayso_worker_orders_total{kind="execute.v1"' in (await client.get("/metrics")).text


async def test_every_provider_and_every_route_is_announced() -> None:
    """On the topic that the gateway reads."""
    worker = MemoryWorker()
    async with running(worker, routes='{"cheap": [{"among": [{"provider": "sandbox"}]}]}'):
        await worker.transport.publisher.until_sent(6)
    sent = [record for record in worker.transport.publisher.sent if record.topic == CATALOG.name]
    offers = {offer.provider: offer for offer in (Capabilities.model_validate_json(r.value or b"") for r in sent)}
    assert set(offers) == {"anthropic", "huggingface", "openai", "replicate", "router", "sandbox"}
    assert [model.name for model in offers["router"].models] == ["cheap"]


async def test_a_budget_of_the_settings_holds_a_call() -> None:
    """The settings reach the gate before the call."""
    worker = MemoryWorker()
    async with running(worker, budgets='{"tenant": {"default": "0.000001"}}'):
        await worker.transport.order(an_execute_order())
        (answer,) = await worker.transport.publisher.until(1)
    assert isinstance(answer, RecordFailure)
    assert answer.failure.code == "budget_exceeded"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"limits": '{"sandbox": {"concurrency": 0}}'}, "SAYSO_LIMITS: /sandbox/concurrency: "),
        ({"routes": '{"r": []}'}, "SAYSO_ROUTES: /r: "),
        ({"budgets": "nine"}, "SAYSO_BUDGETS: Invalid JSON"),
        ({"checks": '{"cost": {"force": true}}'}, "SAYSO_CHECKS: /cost/force: "),
    ],
)
def test_a_malformed_setting_stops_the_start(settings: dict[str, Any], line: str) -> None:
    """With one line that names the setting and the place, before anything connects."""
    with pytest.raises(SettingsError) as refused:
        MemoryWorker().app(Settings(_env_file=None, **settings))
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
