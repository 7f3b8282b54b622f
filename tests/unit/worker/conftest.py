"""What the worker's unit tests share: orders, the ports in memory, and a worker on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.json_values import digest
from contracts.providers.call import CallIntent
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.rate_limits.reservations import Rule
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from unit.worker import limited
from unit.worker.workbench import Bench, Gated

MakePrepare = Callable[..., PrepareOrder]
MakeExecute = Callable[..., ExecuteOrder]


def _order(**given: Any) -> dict[str, Any]:
    return {
        "run_id": uuid4(),
        "work_id": f"work-{uuid4().hex}",
        "attempt": 1,
        "tenant": "acme",
        "deadline": datetime.now(UTC) + timedelta(minutes=5),
        "lease_seconds": 60,
        **given,
    }


@pytest.fixture
def prepare_order() -> MakePrepare:
    """Make a prepare order; intent members and order members are told apart by name."""

    def make(**given: Any) -> PrepareOrder:
        intent = {name: given.pop(name) for name in [*CallIntent.model_fields] if name in given}
        return PrepareOrder(
            **_order(**given), intent=CallIntent(**{"provider": "sandbox", "prompt": "Hello", **intent})
        )

    return make


@pytest.fixture
def execute_order() -> MakeExecute:
    """Make an execute order for the sandbox; parameters go into its payload."""

    def make(**given: Any) -> ExecuteOrder:
        payload = given.pop("payload", None) or {
            "model": "sandbox-1",
            "prompt": given.pop("prompt", "Hello"),
            "parameters": given.pop("parameters", {}),
        }
        said = {"provider": "sandbox", "model": "sandbox-1", "operation": "text", "payload_sha256": digest(payload)}
        return ExecuteOrder(**_order(**{**said, **given}), payload=payload)

    return make


@pytest.fixture
def sandbox() -> SandboxProvider:
    """Give a sandbox that answers at once."""
    return SandboxProvider()


@pytest.fixture
def registry(sandbox: SandboxProvider) -> Registry:
    """Give a registry that knows the sandbox alone."""
    return Registry([sandbox])


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    """Give empty shelves."""
    return MemoryArtifacts()


@pytest.fixture
def sanitizer() -> Sanitizer:
    """Give a sanitizer that knows one secret."""
    return Sanitizer(["sk-a-very-secret-key"])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Give a worker with a sandbox."""
    bench = Bench(SandboxProvider())
    yield bench
    await bench.worker.stop(0)
    assert bench.broken == []


@pytest.fixture
async def gated() -> AsyncIterator[tuple[Bench, Gated]]:
    """Give a worker whose calls wait at a gate."""
    provider = Gated()
    bench = Bench(provider)
    yield bench, provider
    await bench.worker.stop(0)
    assert bench.broken == []


@pytest.fixture
async def open_benches() -> AsyncIterator[Callable[..., limited.Bench]]:
    """Make benches whose workers are stopped in the end."""
    benches: list[limited.Bench] = []

    def make(rule: Rule, **given: Any) -> limited.Bench:
        benches.append(limited.Bench(rule, **given))
        return benches[-1]

    yield make
    for bench in benches:
        for worker in bench.workers:
            await worker.stop(0)
        assert bench.broken == []


@pytest.fixture
def scarce_order(execute_order: MakeExecute) -> MakeExecute:
    """Make an execute order for the provider that has limits."""
    return lambda **given: execute_order(**{"provider": "scarce", **given})
