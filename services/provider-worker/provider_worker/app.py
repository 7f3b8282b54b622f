"""The worker's composition root: settings in, an application with health and metrics out. Decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette

from chassis.background import Background
from chassis.http.application import guarded_app
from chassis.http.health import Health
from chassis.settings import Settings, load_settings
from provider_worker.service import WorkerService, create_service


def create_app(
    settings: Settings | None = None, make: Callable[[Settings, Background], WorkerService] = create_service
) -> Starlette:
    """Wire the worker. Nothing connects before the application's lifespan begins. Raises SettingsError."""
    settings = settings or load_settings()
    background, health = Background(), Health("provider-worker")
    service = make(settings, background)
    health.add("kafka", service.transport.check)
    health.add("postgres", service.check_storage)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # Beside the application, which answers for its health while PostgreSQL or Kafka is unavailable.
        starting = asyncio.ensure_future(service.start())
        background.start(_follow(starting), "start")
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await service.stop()

    return guarded_app(health.routes(), lifespan, background, settings.site())


async def _follow(starting: asyncio.Future[None]) -> None:
    await asyncio.shield(starting)
