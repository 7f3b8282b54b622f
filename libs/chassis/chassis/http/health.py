"""`/health/live`, `/health/ready`, `/metrics` and `/version`: the same routes on every service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.http.version import version_route

HealthCheck = Callable[[], Awaitable[None]]
"""Returns when its subject is well, raises with the reason when it is not."""

CHECK_SECONDS = 2.0


class Health:
    """The named health checks that decide whether `service` is ready. The gateway has a documented `/version` of its own."""

    def __init__(self, service: str | None = None) -> None:
        self._service = service
        self._checks: dict[str, HealthCheck] = {}

    def add(self, name: str, check: HealthCheck) -> None:
        """Let readiness depend on `check`."""
        self._checks[name] = check

    async def failures(self) -> dict[str, str]:
        """Run all checks side by side; return the reasons of those that fail, by name."""
        names = list(self._checks)
        reasons = await asyncio.gather(*(_failure(self._checks[name]) for name in names))
        return {name: reason for name, reason in zip(names, reasons, strict=True) if reason}

    def routes(self) -> list[Route]:
        """Return the routes, for the service's application."""
        return [
            Route("/health/live", _live, include_in_schema=False),
            Route("/health/ready", self._ready, include_in_schema=False),
            Route("/metrics", _metrics, include_in_schema=False),
            *([version_route(self._service)] if self._service else []),
        ]

    async def _ready(self, _: Request) -> Response:
        failures = await self.failures()
        checks = {name: failures.get(name, "ok") for name in self._checks}
        status, code = ("unready", 503) if failures else ("ready", 200)
        return JSONResponse({"status": status, "checks": checks}, status_code=code)


async def _failure(check: HealthCheck) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # any error is the answer
        return str(error) or type(error).__name__
    return None


async def _live(_: Request) -> Response:
    return JSONResponse({"status": "live"})


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
