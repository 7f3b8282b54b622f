"""The worker's composition root: settings in, an application with health and metrics out. Decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette

from chassis.background import Background
from chassis.health import Health
from chassis.settings import Settings, load_settings
from provider_worker.checks.registry import load_checks
from provider_worker.providers.registry import load_providers
from provider_worker.service import Running


def create_app(settings: Settings | None = None) -> Starlette:
    """Wire the worker. Nothing connects before the application's lifespan begins."""
    settings = settings or load_settings()
    background = Background()
    running = Running(settings, load_providers(settings), load_checks(settings), background)
    health = Health()
    health.add("kafka", running.check_kafka)
    health.add("postgres", running.check_database)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # Beside the service, so that it answers for its health while what it needs is away.
        starting = asyncio.ensure_future(running.start())
        background.start(_follow(starting), "start")
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await running.stop()

    app = Starlette(routes=health.routes(), lifespan=lifespan)
    app.state.background = background
    return app


async def _follow(starting: asyncio.Future[None]) -> None:
    await asyncio.shield(starting)
