"""A gateway in memory: the reads that the notifier asks for, over HTTP, folded from events by the contracts' own projection.

It learns events when it is told to, so a read model that lags behind the log is one that was not told yet.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project


class MemoryGateway:
    """Holds runs and their histories. `open` cleared holds all answers back; `away` set, every answer is a 503."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.away = False
        self.asked = 0
        self._records: dict[UUID, list[bytes]] = {}
        self._views: dict[UUID, RunView] = {}

    def learn(self, *values: bytes) -> None:
        """Project records of `run.events`; one that is known already changes nothing."""
        for value in values:
            event = RunEvent.parse(value)
            view = self._views.get(event.run_id)
            if view is None or event.version == view.version + 1:
                self._views[event.run_id] = project(view, event)
                self._records.setdefault(event.run_id, []).append(value)

    def app(self) -> Starlette:
        """Return the application that answers."""
        return Starlette(
            routes=[
                Route("/health/live", self._live),
                Route("/hitl/runs", self._runs),
                Route("/hitl/runs/{run_id:uuid}", self._run),
                Route("/hitl/runs/{run_id:uuid}/history", self._history),
            ]
        )

    async def _live(self, _: Request) -> Response:
        return Response(status_code=503 if self.away else 200)

    async def _runs(self, request: Request) -> Response:
        if refusal := await self._door():
            return refusal
        wanted = {name: request.query_params.get(name) for name in ("state", "user_id", "session_id")}
        found = [
            view
            for view in self._views.values()
            if all(value in (None, getattr(view, name)) for name, value in wanted.items())
        ]
        found.sort(key=lambda view: (view.created_at, view.run_id), reverse=True)
        limit = int(request.query_params.get("limit", 50))
        page = [view.model_dump(mode="json") for view in found[:limit]]
        return JSONResponse({"items": page, "next_cursor": str(limit) if len(found) > limit else None})

    async def _run(self, request: Request) -> Response:
        if refusal := await self._door():
            return refusal
        view = self._views.get(request.path_params["run_id"])
        return JSONResponse(view.model_dump(mode="json")) if view else Response(status_code=404)

    async def _history(self, request: Request) -> Response:
        if refusal := await self._door():
            return refusal
        records = self._records.get(request.path_params["run_id"])
        if records is None:
            return Response(status_code=404)
        after, limit = int(request.query_params.get("after", 0)), int(request.query_params.get("limit", 500))
        items = [item for item in map(from_json, records) if item["version"] > after]
        more = items[limit - 1]["version"] if len(items) > limit else None
        return JSONResponse({"items": items[:limit], "next_after": more})

    async def _door(self) -> Response | None:
        self.asked += 1
        await self.open.wait()
        return Response(status_code=503) if self.away else None
