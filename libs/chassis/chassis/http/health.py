"""`/health/live`, `/health/ready`, `/metrics` and `/version`: the same routes on every service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.http.version import version_route

HealthCheck = Callable[[], Coroutine[Any, Any, None]]
"""Returns when its subject is well, raises with the reason when it is not."""

CHECK_SECONDS = 1.8
"""How long a check may take. Those who ask often wait for 2 s, and one who gets no answer learns no reason."""

PATHS = frozenset({"/health/live", "/health/ready", "/metrics", "/version"})


class Health:
    """The named health checks that decide whether `service` is ready. The gateway has a documented `/version` of its own."""

    def __init__(self, service: str | None = None) -> None:
        self._service = service
        self._checks: dict[str, HealthCheck] = {}
        self._running: dict[str, asyncio.Future[None]] = {}

    def add(self, name: str, check: HealthCheck) -> None:
        """Let readiness depend on `check`."""
        self._checks[name] = check

    async def failures(self) -> dict[str, str]:
        """Run all checks side by side; return the reasons of those that fail, by name."""
        names = list(self._checks)
        reasons = await asyncio.gather(*(self._failure(name) for name in names))
        return {name: reason for name, reason in zip(names, reasons, strict=True) if reason}

    def routes(self) -> list[Route]:
        """Return the routes, for the service's application."""
        return [
            Route("/health/live", _live, include_in_schema=False),
            Route("/health/ready", self._ready, include_in_schema=False),
            Route("/metrics", _metrics, include_in_schema=False),
            *([version_route(self._service)] if self._service else []),
        ]

    async def _failure(self, name: str) -> str | None:
        # A check may not end though it is cancelled, as one on a thread does. It is asked again only once it has ended.
        running = self._running.get(name)
        if running is None or running.done():
            running = self._running[name] = asyncio.ensure_future(self._checks[name]())
        done, _ = await asyncio.wait([running], timeout=CHECK_SECONDS)
        if not done:
            running.cancel()
            return f"no answer within {CHECK_SECONDS:g} s"
        if running.cancelled():
            return "no answer"
        error = running.exception()
        return None if error is None else str(error) or type(error).__name__

    async def _ready(self, _: Request) -> Response:
        failures = await self.failures()
        checks = {name: failures.get(name, "ok") for name in self._checks}
        status, code = ("unready", 503) if failures else ("ready", 200)
        return JSONResponse({"status": status, "checks": checks}, status_code=code)


async def _live(_: Request) -> Response:
    return JSONResponse({"status": "live"})


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
