"""The notifier's composition root: settings and adapters to an application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from chassis.background import Background
from chassis.http.application import guarded_app
from chassis.http.health import Health
from chassis.settings import Settings, load_settings
from notifier.edges.run_events import run_events_route
from notifier.edges.snapshots import Snapshots
from notifier.edges.websocket import WebSocketEdge
from notifier.edges.websocket_connection import ConnectionContext
from notifier.hub.client import HubBounds
from notifier.ports import Adapters
from notifier.service import NotifierService


def create_app(
    settings: Settings | None = None, adapters: Adapters | None = None, bounds: HubBounds | None = None
) -> Starlette:
    """Wire the notifier, on Kafka and HTTP unless other adapters are given. Nothing connects before the application starts."""
    settings = settings or load_settings()
    gateway_port = urlsplit(settings.gateway).port or settings.gateway_port
    health, background = Health("notifier"), Background()
    service = NotifierService(settings, adapters, background, bounds)
    snapshots = Snapshots(service.hub, service.gateway)
    shared = service.ask, service.feed.caught_up, service.authentication, service.now
    context = ConnectionContext(service.hub, snapshots, *shared)
    background.on_stop(service.hub.stop)
    health.add("kafka", service.check_log)
    health.add("feed", service.check_feed)
    health.add("gateway", service.gateway.check)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        background.start(service.run(), "notifier")
        yield
        await background.stop()
        await service.close()

    routes = [
        WebSocketRoute("/ws", WebSocketEdge(context).endpoint),
        run_events_route(gateway_port),
        *health.routes(),
    ]
    return guarded_app(routes, lifespan, background, settings.site(page_port=gateway_port))
