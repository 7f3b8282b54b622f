"""Fixtures of the worker's unit tests: orders, the ports in memory, and a worker on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.rate_limits.reservations import Rule
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.worker.bench import SECRET, WorkerBench
from testkit.worker.orders import MakeExecute, MakePrepare, a_prepare_order, an_execute_order
from testkit.worker.providers import GatedProvider

from .rate_limit_bench import RateLimitBench


@pytest.fixture
def prepare_order() -> MakePrepare:
    """Make a prepare order; intent members and order members are told apart by name."""
    return a_prepare_order


@pytest.fixture
def execute_order() -> MakeExecute:
    """Make an execute order for the sandbox; parameters go into its payload."""
    return an_execute_order


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
    """Give an empty artifact store."""
    return MemoryArtifacts()


@pytest.fixture
def sanitizer() -> Sanitizer:
    """Give a sanitizer that knows one secret."""
    return Sanitizer([SECRET])


@pytest.fixture
async def bench() -> AsyncIterator[WorkerBench]:
    """Give a worker with a sandbox."""
    bench = WorkerBench(SandboxProvider())
    yield bench
    await bench.worker.stop(0)
    assert bench.failures == []


@pytest.fixture
async def gated() -> AsyncIterator[tuple[WorkerBench, GatedProvider]]:
    """Give a worker whose calls wait at a gate."""
    provider = GatedProvider()
    bench = WorkerBench(provider)
    yield bench, provider
    await bench.worker.stop(0)
    assert bench.failures == []


@pytest.fixture
async def open_benches() -> AsyncIterator[Callable[..., RateLimitBench]]:
    """Make benches whose workers are stopped in the end."""
    benches: list[RateLimitBench] = []

    def make(rule: Rule, **given: Any) -> RateLimitBench:
        benches.append(RateLimitBench(rule, **given))
        return benches[-1]

    yield make
    for bench in benches:
        for worker in bench.workers:
            await worker.stop(0)
        assert bench.failures == []


@pytest.fixture
def scarce_order(execute_order: MakeExecute) -> MakeExecute:
    """Make an execute order for the provider that has limits."""
    return lambda **given: execute_order(**{"provider": "scarce", **given})
