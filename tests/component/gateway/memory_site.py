"""A gateway in memory that tests ask over HTTP: its own wiring, and the real core as the orchestrator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from chassis.settings import Settings
from contracts.providers.capabilities import Capabilities
from contracts.topics import CATALOG
from gateway.api.routes import GatewayApi
from gateway.app import create_app
from gateway.ports import Now
from gateway.testing.adapters import memory_adapters
from gateway.testing.memory import MemoryTables
from identity.testing.memory import MemoryKeys
from identity.testing.memory_absences import MemoryAbsences
from identity.testing.memory_sessions import MemorySessions

from .memory_orchestrator import MemoryOrchestrator

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SANDBOX = Capabilities(provider="sandbox", tool_names=("flux",), operations=("text",), default_operation="text")


@dataclass
class Site:
    """A gateway that runs, and all that stands around it."""

    http: httpx.AsyncClient
    orchestrator: MemoryOrchestrator
    tables: MemoryTables
    app: GatewayApi
    keys: MemoryKeys
    sessions: MemorySessions
    absences: MemoryAbsences

    async def announce(self) -> None:
        """Announce a provider, as a worker does at its start."""
        value = SANDBOX.model_dump_json().encode()
        await self.orchestrator.broker.deliver(CATALOG, value, key=b"sandbox")


@asynccontextmanager
async def memory_site(now: Now = lambda: NOW, **settings: Any) -> AsyncIterator[Site]:
    """Run a gateway in memory, with a clock that stands still unless another one is given."""
    tables = MemoryTables()
    orchestrator = MemoryOrchestrator(tables)
    adapters = memory_adapters(orchestrator.broker, tables, now)
    assert isinstance(adapters.keys, MemoryKeys)
    assert isinstance(adapters.sessions, MemorySessions)
    assert isinstance(adapters.absences, MemoryAbsences)
    app = create_app(Settings(_env_file=None, **settings), adapters)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        await orchestrator.broker.connected.wait()
        yield Site(http, orchestrator, tables, app, adapters.keys, adapters.sessions, adapters.absences)
