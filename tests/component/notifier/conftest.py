"""Fixtures of the notifier's component tests: each module on memory adapters, then on the session's real Kafka."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from notifier.testing.gateway import MemoryGateway

from .running_notifier import (
    Answers,
    Backend,
    MemoryBackend,
    Publisher,
    RunningNotifier,
    kafka_backend,
    serving,
)


@pytest.fixture(scope="module", params=["memory", "kafka"])
def bootstrap(request: pytest.FixtureRequest) -> str | None:
    """Name the Kafka; None for memory."""
    return None if request.param == "memory" else str(request.getfixturevalue("kafka_bootstrap"))


@pytest_asyncio.fixture(scope="module")
async def backend(bootstrap: str | None) -> AsyncIterator[Backend]:
    """Give the surroundings of the module's notifiers."""
    async with contextlib.AsyncExitStack() as stack:
        yield MemoryBackend() if bootstrap is None else await stack.enter_async_context(kafka_backend(bootstrap))


@pytest.fixture(scope="module")
def gateway(backend: Backend) -> MemoryGateway:
    """Give the gateway that the notifier asks."""
    return backend.gateway


@pytest.fixture(scope="module")
def publisher(backend: Backend) -> Publisher:
    """Give a publisher of events."""
    return Publisher(backend)


@pytest.fixture(scope="module")
def answers(backend: Backend) -> Answers:
    """Give the answers of the orchestrator."""
    return backend.answers


@pytest_asyncio.fixture(scope="module")
async def notifier(backend: Backend) -> AsyncIterator[RunningNotifier]:
    """Run the module's notifier."""
    async with backend.notifier() as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def lone_gateway() -> MemoryGateway:
    """Give a gateway for a notifier on a Kafka of its own."""
    return MemoryGateway()


@pytest_asyncio.fixture(scope="module")
async def gateway_url(lone_gateway: MemoryGateway) -> AsyncIterator[str]:
    """Serve it on loopback."""
    async with serving(lone_gateway.app()) as address:
        yield f"http://{address}"
