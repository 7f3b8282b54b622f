"""What the notifier's component tests share: a notifier on the session's real Kafka, a module each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from component.notifier.watchtower import Core, Press, Tower, core, serving, tower
from messaging.producer import Producer
from notifier.testing.gateway import MemoryGateway


@pytest_asyncio.fixture(scope="module")
async def producer(kafka_bootstrap: str) -> AsyncIterator[Producer]:
    """Give a producer on the real Kafka."""
    producer = Producer(kafka_bootstrap, "press")
    await producer.start()
    yield producer
    await producer.stop()


@pytest_asyncio.fixture(scope="module")
async def gateway() -> MemoryGateway:
    """Give the gateway that the notifier asks."""
    return MemoryGateway()


@pytest_asyncio.fixture(scope="module")
async def gateway_url(gateway: MemoryGateway) -> AsyncIterator[str]:
    """Serve it on loopback."""
    async with serving(gateway.app()) as address:
        yield f"http://{address}"


@pytest_asyncio.fixture(scope="module")
async def press(producer: Producer, gateway: MemoryGateway) -> Press:
    """Give who publishes."""
    return Press(producer, gateway)


@pytest_asyncio.fixture(scope="module")
async def deciding(kafka_bootstrap: str, producer: Producer) -> AsyncIterator[Core]:
    """Give who takes commands."""
    async with core(kafka_bootstrap, producer) as answering:
        yield answering


@pytest_asyncio.fixture(scope="module")
async def notifier(kafka_bootstrap: str, gateway_url: str) -> AsyncIterator[Tower]:
    """Run the module's notifier."""
    async with tower(kafka_bootstrap, gateway_url, outcome_wait_seconds=2) as running:
        yield running
