"""The fake vendors that a stack's worker calls: servers on loopback, from `tools/fake_vendors`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from local_stack.ports import LOOPBACK, free_ports
from local_stack.processes.process import Process, Program


@dataclass(frozen=True)
class FakeVendor:
    """A fake vendor that counts its calls."""

    base_url: str

    async def calls(self) -> int:
        """Return how many calls were begun."""
        async with httpx.AsyncClient() as http:
            answer = await http.get(self.base_url.removesuffix("/v1") + "/_calls")
            return int(answer.json()["total"])


@pytest_asyncio.fixture(scope="session")
async def fake_openai(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FakeVendor]:
    """Run the fake OpenAI."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "fake_vendors.openai", "--port", port, "--pace", "0"]
    process = Process(Program("fake-openai", command, Path(tmp_path_factory.mktemp("vendors"), "openai.log")))
    process.start()
    vendor = FakeVendor(f"http://{LOOPBACK}:{port}/v1")
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(httpx.TransportError):
                await vendor.calls()
                break
            await asyncio.sleep(0.05)
    yield vendor
    await process.stop()
