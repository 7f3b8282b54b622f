"""The provider as fixtures: `oidc-provider-mock`, a process on loopback, and the proxy before it, which a test gets without changes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from local_stack.ports import LOOPBACK, free_port
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from testkit.identity_provider.proxy import DISCOVERY, ProviderProxy, proxied

START_SECONDS = 30.0


@pytest_asyncio.fixture(scope="session")
async def oidc_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Run the provider; give its address."""
    address = f"http://{LOOPBACK}:{(port := free_port())}"
    command = [sys.executable, "-m", "oidc_provider_mock", "--host", LOOPBACK, "--port", port]
    process = Process(Program("oidc-provider", command, Path(tmp_path_factory.mktemp("oidc"), "provider.log")))
    process.start()
    async with httpx.AsyncClient(base_url=address) as http:

        async def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await http.get(DISCOVERY)).is_success
            return False

        await until(answers, START_SECONDS, "the identity provider")
    yield address
    await process.stop()


@pytest_asyncio.fixture(scope="session")
async def identity_proxy(oidc_process: str) -> AsyncIterator[ProviderProxy]:
    """Run the session's proxy before the provider."""
    async with proxied(oidc_process) as proxy:
        yield proxy


@pytest.fixture
def identity_provider(identity_proxy: ProviderProxy) -> ProviderProxy:
    """Give the provider to one test: nothing is changed and nothing was asked yet."""
    identity_proxy.forget()
    return identity_proxy
