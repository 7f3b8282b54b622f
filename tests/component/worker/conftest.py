"""Fixtures of the worker's component tests: the real Kafka with a listener on it, fake vendors, one running worker a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from component.worker.workshop import KEY, Floor, Workshop, floor_on, serving, worker_on
from fake_vendors.faults import FakeServer
from fake_vendors.openai import FakeOpenAI


@pytest_asyncio.fixture(scope="module")
async def floor(kafka_bootstrap: str) -> AsyncIterator[Floor]:
    """Listen on the real Kafka."""
    async with floor_on(kafka_bootstrap) as floor:
        yield floor


@pytest.fixture(scope="module")
def fake(request: pytest.FixtureRequest) -> FakeServer:
    """Give the memory of the module's fake vendor, whose class the module names as `FAKE`."""
    fake: FakeServer = request.module.FAKE()
    return fake


@pytest_asyncio.fixture(scope="module")
async def url(fake: FakeServer) -> AsyncIterator[str]:
    """Serve the module's fake vendor on loopback and give its base URL."""
    async with serving(fake.app()) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def vendor_calls() -> FakeOpenAI:
    """Give the memory of the module's fake OpenAI."""
    return FakeOpenAI()


@pytest_asyncio.fixture(scope="module")
async def vendor_url(vendor_calls: FakeOpenAI) -> AsyncIterator[str]:
    """Serve the fake OpenAI on loopback and give its base URL."""
    async with serving(vendor_calls.app()) as url:
        yield f"{url}/v1"


@pytest_asyncio.fixture(scope="module")
async def workshop(floor: Floor, module_postgres_url: str, vendor_url: str) -> AsyncIterator[Workshop]:
    """Run the module's worker, with the fake OpenAI as its vendor."""
    settings = {"openai_base_url": vendor_url, "openai_api_key": KEY}
    async with worker_on(floor.bootstrap, module_postgres_url, **settings) as workshop:
        await workshop.until_ready()
        yield workshop
