"""The gateway's composition root: settings and adapters in, the application out."""

from __future__ import annotations

from chassis.http.health import Health
from chassis.settings import Settings, load_settings
from gateway.api import api_routers
from gateway.api.command_requests import CommandRequests
from gateway.api.decisions import RunWrites
from gateway.api.routes import GatewayApi, hot_routes
from gateway.api.runs import RunReads
from gateway.pages.documents import documents_router
from gateway.pages.inbox import inbox_router
from gateway.pages.sign_in import sign_in_router
from gateway.ports import Adapters
from gateway.service import GatewayService


def create_app(settings: Settings | None = None, adapters: Adapters | None = None) -> GatewayApi:
    """Wire the gateway, on PostgreSQL and Kafka or on other `adapters`. Nothing connects before the application starts."""
    settings = settings or load_settings()
    service, health = GatewayService(settings, adapters), Health()
    health.add("kafka", service.adapters.broker.check)
    health.add("postgresql", service.check_database)
    health.add("catalog", service.catalog.check)
    reads = RunReads(service.adapters.views, service.follower, settings.outcome_wait_seconds, service.adapters.now)
    requests = CommandRequests(service.bus, service.adapters.now, settings.max_body_bytes)
    hot = hot_routes(reads, RunWrites(requests, service.catalog))
    app = GatewayApi(hot, settings.site(), service.credentials.resolver, lifespan=service.running)
    app.router.routes += health.routes()
    fixed = settings, service.adapters, service.catalog, service.follower, service.credentials
    sign_in = sign_in_router(settings, service.adapters, service.credentials.resolver)
    inbox = inbox_router(service.adapters.views, service.adapters.now)
    for router in (*api_routers(*fixed, reads, requests), inbox, sign_in, documents_router()):
        app.include_router(router)
    app.state.background = service.background
    return app
