"""A gateway in memory, behind the port and over HTTP. The contracts' own projection makes its views.

It learns events when it is told to: a read model that lags behind the log has not been told yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts.runs.run_event import RunEvent
from contracts.runs.views import TERMINAL, RunView, project
from notifier.errors import GatewayUnavailable
from notifier.ports import Snapshot


class MemoryGateway:
    """Holds runs and their histories. Answers wait while `answering` is cleared, and fail while `unavailable` is set.

    `page`: how many runs a list has at most, as its bytes would decide.
    """

    def __init__(self) -> None:
        self.answering = asyncio.Event()
        self.answering.set()
        self.unavailable = False
        self.requests = 0
        self.page = 200
        self.credentials: list[str | None] = []
        self._records: dict[UUID, list[bytes]] = {}
        self._views: dict[UUID, RunView] = {}

    def learn(self, *values: bytes) -> None:
        """Project records of `run.events`; a repeated one changes nothing."""
        for value in values:
            event = RunEvent.parse(value)
            view = self._views.get(event.run_id)
            if view is None or event.version == view.version + 1:
                self._views[event.run_id] = project(view, event)
                self._records.setdefault(event.run_id, []).append(value)

    async def snapshot(
        self, *, run_id: str | None, session_id: str | None, user_id: str | None, credential: str | None = None
    ) -> Snapshot:
        """Return the open runs that match every filter given. A run that is named by `run_id` is shown though it is over."""
        self.credentials.append(credential)
        await self._answer()
        return Snapshot.of(
            view.model_dump(mode="json")
            for view in self._views.values()
            if (view.state not in TERMINAL if run_id is None else str(view.run_id) == run_id)
            and session_id in (None, view.session_id)
            and user_id in (None, view.user_id)
        )

    async def history(self, _: str, run_id: str) -> list[bytes] | None:
        """Return every event of a run, as values of `run.events`; None when there is no such run."""
        await self._answer()
        return self._records.get(UUID(run_id))

    async def check(self) -> None:
        """Return if the gateway answers."""
        if self.unavailable:
            raise GatewayUnavailable

    async def close(self) -> None:
        """Close nothing."""

    def app(self) -> Starlette:
        """Return an application that answers the same over HTTP, in pages."""
        routes = {
            "/health/live": self._live,
            "/hitl/runs": self._runs,
            "/hitl/runs/{run_id:uuid}": self._run,
            "/hitl/runs/{run_id:uuid}/history": self._history,
        }
        return Starlette(routes=[Route(path, _or_503(answer)) for path, answer in routes.items()])

    async def _answer(self) -> None:
        self.requests += 1
        await self.answering.wait()
        await self.check()

    async def _live(self, _: Request) -> Response:
        await self.check()
        return Response()

    async def _runs(self, request: Request) -> Response:
        await self._answer()
        wanted = {name: request.query_params.get(name) for name in ("state", "user_id", "session_id")}
        found = [
            view
            for view in self._views.values()
            if all(value in (None, getattr(view, name)) for name, value in wanted.items())
            and not ("open" in request.query_params and view.state in TERMINAL)
        ]
        found.sort(key=lambda view: (view.created_at, view.run_id), reverse=True)
        first = int(request.query_params.get("cursor", 0))
        end = first + min(int(request.query_params.get("limit", 50)), self.page)
        page = [view.model_dump(mode="json") for view in found[first:end]]
        return JSONResponse({"items": page, "next_cursor": str(end) if len(found) > end else None})

    async def _run(self, request: Request) -> Response:
        await self._answer()
        view = self._views.get(request.path_params["run_id"])
        return JSONResponse(view.model_dump(mode="json")) if view else Response(status_code=404)

    async def _history(self, request: Request) -> Response:
        records = await self.history("default", str(request.path_params["run_id"]))
        if records is None:
            return Response(status_code=404)
        after, limit = int(request.query_params.get("after", 0)), int(request.query_params.get("limit", 500))
        items: list[Any] = [item for item in map(from_json, records) if item["version"] > after]
        more = items[limit - 1]["version"] if len(items) > limit else None
        return JSONResponse({"items": items[:limit], "next_after": more})


def _or_503(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer_or_503(request: Request) -> Response:
        try:
            return await answer(request)
        except GatewayUnavailable:
            return Response(status_code=503)

    return answer_or_503
