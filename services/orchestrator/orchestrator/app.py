"""The orchestrator's composition root: settings to adapters to a running service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from chassis.background import Background
from chassis.http.application import guarded_app
from chassis.http.health import Health
from chassis.settings import Settings, load_settings
from orchestrator.adapters import real_adapters
from orchestrator.aggregate import Aggregate
from orchestrator.ports import Adapters
from orchestrator.runs.aggregate import RUN
from orchestrator.service import OrchestratorService


def create_app(
    settings: Settings | None = None,
    aggregates: Sequence[Aggregate[Any, Any]] = (RUN,),
    adapters: Adapters | None = None,
) -> Starlette:
    """Wire the orchestrator for these aggregates. Nothing connects before the application starts."""
    settings = settings or load_settings()
    health, background = Health("orchestrator"), Background()
    adapters = adapters or real_adapters(settings, background, aggregates)
    service = OrchestratorService(adapters, aggregates, background)
    health.add("kafka", service.check_kafka)
    health.add("ledger", service.check_ledger)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        background.start(service.run(), "orchestrator")
        yield
        await service.stop()

    return guarded_app(health.routes(), lifespan, background, settings.site())
