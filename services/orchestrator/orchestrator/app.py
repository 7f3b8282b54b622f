"""The orchestrator's composition root: settings to adapters to a running service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from chassis.background import Background
from chassis.health import Health
from chassis.settings import Settings
from orchestrator.service import Running


def create_app(settings: Settings) -> Starlette:
    """Wire the orchestrator. Nothing connects before the application starts."""
    health, background = Health(), Background()
    running = Running(settings, background)
    health.add("kafka", running.check_kafka)
    health.add("ledger", running.check_ledger)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        background.start(running.run(), "orchestrator")
        yield
        await running.stop()

    app = Starlette(routes=health.routes(), lifespan=lifespan)
    app.state.background = background
    return app
