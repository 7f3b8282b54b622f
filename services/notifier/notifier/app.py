"""The notifier's composition root: settings to adapters to a running service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute

from chassis.background import Background
from chassis.health import Health
from chassis.settings import Settings
from contracts.topics import EVENTS
from notifier.adapters.gateway import Snapshots
from notifier.edges.problems import on_http_exception
from notifier.edges.sse import EventStreams
from notifier.edges.websocket import Sockets, Surroundings
from notifier.feed.events import Feed
from notifier.hub.client import Limits
from notifier.hub.hub import Hub
from notifier.hub.run_states import Memory
from notifier.service import Running


def create_app(settings: Settings, limits: Limits | None = None) -> Starlette:
    """Wire the notifier. Nothing connects before the application starts."""
    health, background = Health(), Background()
    hub, snapshots = Hub(EVENTS.partitions, limits), Snapshots(settings.gateway)
    feed = Feed(hub, Memory(), snapshots.history)
    running = Running(settings, hub, feed, background)
    sockets = Sockets(Surroundings(hub, snapshots, running.ask, feed.caught_up), settings.allowed_origins)
    streams = EventStreams(hub, snapshots, feed.caught_up)
    background.on_stop(hub.stop)
    health.add("kafka", running.check_kafka)
    health.add("feed", running.check_feed)
    health.add("gateway", snapshots.check)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        background.start(running.run(), "notifier")
        yield
        await running.stop()
        await background.stop()
        await snapshots.close()

    routes = [
        WebSocketRoute("/ws", sockets.endpoint),
        Route("/hitl/runs/{run_id}/events", streams.endpoint),
        *health.routes(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: on_http_exception})
    app.state.background = background
    return app
