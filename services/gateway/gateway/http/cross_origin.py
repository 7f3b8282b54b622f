"""The outermost layer: what changes something is taken from programs and from our own pages alone. Knows no routes."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.origins import is_welcome
from gateway.http.problems import Problem, document

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; other pages cannot read their answers."""


class OwnPages:
    """Refuses writes that browsers send for pages of other hosts, unless they are of `others`."""

    def __init__(self, app: ASGIApp, others: Collection[str]) -> None:
        self.app = app
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in _READING and _comes_from_a_page(scope):
            headers = Headers(scope=scope)
            if not is_welcome(headers, self._others):
                detail = f"a page of {headers['origin']} may not write to this host; see SAYSO_ORIGINS"
                await document(Problem("forbidden", detail), Request(scope).url.path)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _comes_from_a_page(scope: Scope) -> bool:
    return any(name == b"origin" for name, _ in scope["headers"])
