"""The requests that come most, answered before the layers that all others pass: those cost as much as the answer.

A shortcut and nothing more: each of its routes is the application's too, and what it leaves alone is answered there the
same. Knows no routes by name and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import answer_to
from gateway.metrics import requests_of

Endpoint = Callable[[Request], Awaitable[Response]]

Endpoints = Mapping[tuple[str, str], Endpoint]
"""By method and path, where `{run_id}` stands for the third part of the path."""

_NAMED = 3

_PLAIN_QUERY = re.compile(rb"(?:min_version=[1-9]\d{0,17})?")
"""All others say what may be wrong, and are the application's to judge."""


class Front:
    """Layer around all others; `endpoints` are the requests that it answers itself."""

    def __init__(self, app: ASGIApp, endpoints: Endpoints) -> None:
        self._app = app
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
        else:
            scope["path_params"] = found.path_params
            await _answer(found, Request(scope, receive), send)

    def _find(self, scope: Scope) -> _Found | None:
        path, named = scope["path"], {}
        parts = path.split("/")
        if len(parts) > _NAMED:
            named["run_id"], parts[_NAMED] = parts[_NAMED], "{run_id}"
            path = "/".join(parts)
        endpoint = self.endpoints.get((scope["method"], path))
        if endpoint is None or "" in named.values() or not _PLAIN_QUERY.fullmatch(scope["query_string"]):
            return None
        return _Found(path, named, endpoint)


class FrontedApi(FastAPI):
    """An application with layers of ours before all that it does with a request, were it only to look for middleware."""

    before: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.before(scope, receive, send)

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that has passed the layers."""
        await super().__call__(scope, receive, send)


class _Found(NamedTuple):
    path: str
    path_params: dict[str, str]
    endpoint: Endpoint


async def _answer(found: _Found, request: Request, send: Send) -> None:
    bug: Exception | None = None
    try:
        response = await found.endpoint(request)
    except Exception as error:  # each has its answer; one that is our fault is the server's to log
        response, bug = await answer_to(request, error)
    requests_of(request.method, found.path, response.status_code).inc()
    await response(request.scope, request.receive, send)
    if bug is not None:
        raise bug
