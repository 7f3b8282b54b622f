"""The gateway's composition root: settings and adapters in, the application out."""

from __future__ import annotations

from chassis.background import Background
from chassis.http.health import Health
from chassis.settings import Settings, load_settings
from gateway.api.api_keys import ApiKeys, api_keys_router
from gateway.api.artifacts import artifacts_router
from gateway.api.decisions import RunWrites
from gateway.api.providers import providers_router
from gateway.api.routes import GatewayApi, hot_routes
from gateway.api.run_events import run_events_router
from gateway.api.runs import RunReads, runs_router
from gateway.api.version import version_router
from gateway.pages.documents import documents_router
from gateway.pages.inbox import inbox_router
from gateway.ports import Adapters
from gateway.service import GatewayService


def create_app(settings: Settings | None = None, adapters: Adapters | None = None) -> GatewayApi:
    """Wire the gateway, on PostgreSQL and Kafka or on other `adapters`. Nothing connects before the application starts."""
    settings = settings or load_settings()
    background, health = Background(), Health()
    service = GatewayService(settings, adapters, background)
    health.add("kafka", service.adapters.broker.check)
    health.add("postgresql", service.check_database)
    health.add("catalog", service.catalog.check)
    reads = RunReads(service.views, service.follower, settings.outcome_wait_seconds)
    writes = RunWrites(service.bus, service.catalog, service.now, settings.max_body_bytes)
    app = GatewayApi(hot_routes(reads, writes), settings.site(), service.resolver, lifespan=service.running)
    app.router.routes += health.routes()
    app.include_router(runs_router(reads))
    app.include_router(run_events_router(service.follower, service.now))
    app.include_router(artifacts_router(service.artifacts, settings.max_artifact_bytes))
    app.include_router(providers_router(service.catalog))
    app.include_router(api_keys_router(ApiKeys(service.keys, service.now, settings.max_body_bytes)))
    for pages in (inbox_router(service.views, service.now), documents_router(), version_router()):
        app.include_router(pages)
    app.state.background = background
    return app
