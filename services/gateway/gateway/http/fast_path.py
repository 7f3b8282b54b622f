"""The layer before FastAPI's: it answers the most frequent requests itself, because FastAPI's layers cost as much as the answer.

Each of its routes is in the application's router too. Knows no routes by name and decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import answer_to
from gateway.metrics import requests_of

Endpoint = Callable[[Request], Awaitable[Response]]

_RUN_ID = 3
"""The part of a path that is the run's id, where there is one."""


class FastPath:
    """Answers the requests of `endpoints`, by method and path, and leaves all others to `app`.

    `{run_id}` stands for the third part of a path. An endpoint checks its query itself.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
        else:
            scope["path_params"] = found.path_params
            await _answer(found, Request(scope, receive), send)

    def _find(self, scope: Scope) -> _Found | None:
        path, path_params = scope["path"], {}
        parts = path.split("/")
        if len(parts) > _RUN_ID:
            path_params["run_id"], parts[_RUN_ID] = parts[_RUN_ID], "{run_id}"
            path = "/".join(parts)
        endpoint = self._endpoints.get((scope["method"], path))
        if endpoint is None or "" in path_params.values():
            return None
        return _Found(path, path_params, endpoint)


class _Found(NamedTuple):
    path: str
    path_params: dict[str, str]
    endpoint: Endpoint


async def _answer(found: _Found, request: Request, send: Send) -> None:
    bug: Exception | None = None
    try:
        response = await found.endpoint(request)
    except Exception as error:  # each becomes an answer; a fault of ours is raised again below, for the server to log
        response, bug = await answer_to(request, error)
    requests_of(request.method, found.path, response.status_code).inc()
    await response(request.scope, request.receive, send)
    if bug is not None:
        raise bug
