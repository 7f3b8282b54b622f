"""`/health/live`, `/health/ready` and `/metrics`: the same three routes on every service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], Awaitable[None]]
"""Returns when what it looks at is well, raises with the reason when it is not."""

CHECK_SECONDS = 2.0


class Health:
    """The named checks that decide whether a service is ready."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Let readiness depend on `check`."""
        self._checks[name] = check

    async def failures(self) -> dict[str, str]:
        """Run all checks side by side; return what is wrong, by name."""
        names = list(self._checks)
        found = await asyncio.gather(*(self._run(self._checks[name]) for name in names))
        return {name: wrong for name, wrong in zip(names, found, strict=True) if wrong}

    async def _run(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except TimeoutError:
            return f"no answer within {CHECK_SECONDS:g} s"
        except Exception as error:  # whatever is wrong is the answer
            return str(error) or type(error).__name__
        return None

    def routes(self) -> list[Route]:
        """Return the three routes, for the service's application."""
        return [
            Route("/health/live", self._live, include_in_schema=False),
            Route("/health/ready", self._ready, include_in_schema=False),
            Route("/metrics", _metrics, include_in_schema=False),
        ]

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def _ready(self, _: Request) -> Response:
        wrong = await self.failures()
        checks = {name: wrong.get(name, "ok") for name in self._checks}
        return JSONResponse(
            {"status": "unready" if wrong else "ready", "checks": checks}, status_code=503 if wrong else 200
        )


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
