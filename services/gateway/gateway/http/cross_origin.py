"""The outermost layer: writes are taken from programs and from pages of our own host alone. Knows no routes."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http.origins import is_welcome
from gateway.http.problems import Problem, document

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing. A browser shows their answers to no page of another host."""


class CrossOriginGuard:
    """Refuses writes that a browser sends for a page of another host, unless its origin is one of `others`."""

    def __init__(self, app: ASGIApp, others: Collection[str]) -> None:
        self._app = app
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in _READING and _has_origin(scope):
            headers = Headers(scope=scope)
            if not is_welcome(headers, self._others):
                detail = f"a page of {headers['origin']} may not write to this host; see SAYSO_ORIGINS"
                await document(Problem("forbidden", detail), Request(scope).url.path)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _has_origin(scope: Scope) -> bool:
    return any(name == b"origin" for name, _ in scope["headers"])
