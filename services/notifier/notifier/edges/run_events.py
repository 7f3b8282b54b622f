"""`GET /hitl/runs/{run_id}/events`: the gateway serves this stream; here the path redirects to it."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route


def run_events_route(gateway_port: int) -> Route:
    """Return the route that answers 307 to the same address on `gateway_port`, with path and query kept.

    The host is the one that the client asked: a name by which the notifier reaches the gateway may mean nothing outside.
    A proxy that serves both services on one port sends this path to the gateway itself, so that no redirect happens.
    """

    async def redirect(request: Request) -> Response:
        url = request.url.replace(port=gateway_port, path=quote(request.scope["path"]))
        return RedirectResponse(url, headers={"Cache-Control": "no-store"})

    return Route("/hitl/runs/{run_id}/events", redirect)
