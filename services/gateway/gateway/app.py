"""The gateway's composition root: settings to adapters to a running service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from chassis.background import Background
from chassis.health import Health
from chassis.settings import Settings
from gateway.api.artifacts import storing
from gateway.api.decisions import Writes
from gateway.api.docs import documenting
from gateway.api.openapi import DESCRIPTION, TAGS, DescribedApi
from gateway.api.providers import offering
from gateway.api.run_events import pushing
from gateway.api.runs import reading, reading_at_once
from gateway.http.cross_origin import OwnPages
from gateway.http.fast_path import Front
from gateway.http.problems import HANDLERS
from gateway.metrics import CountRequests
from gateway.service import Running


def create_app(settings: Settings) -> FastAPI:
    """Wire the gateway. Nothing connects before the application starts."""
    health, background = Health(), Background()
    running = Running(settings, background)
    background.on_stop(running.end_streams)
    health.add("kafka", running.check_kafka)
    health.add("postgresql", running.database.check)
    health.add("catalog", running.catalog.check)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await running.start()
        yield
        await running.stop()
        await background.stop()

    app = DescribedApi(
        title="Sayso",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(CountRequests)
    writes = Writes(running.outcomes, running.catalog, settings.max_body_bytes)
    # Before all others: the router asks its routes one after the other.
    app.router.routes[:0] = writes.routes()
    app.router.routes += health.routes()
    app.include_router(reading(running.views, running.following, settings.outcome_wait_seconds))
    app.include_router(pushing(running.following))
    app.include_router(storing(running.database, settings.max_artifact_bytes))
    app.include_router(offering(running.catalog))
    app.include_router(documenting())
    often = writes.endpoints() | reading_at_once(running.following, settings.outcome_wait_seconds)
    app.before = OwnPages(Front(app.behind, often), settings.allowed_origins)
    app.state.background = background
    return app
