"""The hot routes, each written once: the router, the fast path and the OpenAPI document are made from this table."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getdoc
from typing import Any, NamedTuple

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from chassis.http.access.guard import AccessGuard
from chassis.http.access.origins import Site
from contracts.runs.decisions import BODIES
from gateway.api import openapi
from gateway.api.decisions import RunWrites
from gateway.api.runs import RunReads
from gateway.http.fast_path import Endpoint, FastPath
from gateway.http.head_requests import HeadRequests
from gateway.http.parameters import refuse_repeated
from gateway.http.problems import HANDLERS
from gateway.identity.authentication import Authentication
from gateway.identity.route_rights import check_right, require_right
from gateway.identity.security_schemes import secured
from gateway.metrics import RequestCounter
from identity.resolver import Resolver

START_PATHS = ("/hitl/runs", "/hitl/run")
RUN_PATH = "/hitl/runs/{run_id}"


class HotRoute(NamedTuple):
    """A route that is served before FastAPI: on these paths its own handling costs as much as all the rest."""

    method: str
    path: str
    endpoint: Endpoint
    operation: openapi.Operation


def hot_routes(reads: RunReads, writes: RunWrites) -> tuple[HotRoute, ...]:
    """Return the table."""
    return (
        *(_hot("POST", path, writes.start, openapi.start_operation(path)) for path in START_PATHS),
        *(
            _hot("POST", f"{RUN_PATH}/{action}", writes.action(action), openapi.action_operation(action))
            for action in BODIES
        ),
        _hot("GET", RUN_PATH, reads.read_run, openapi.read_operation(getdoc(reads.read_run) or "")),
    )


def _hot(method: str, path: str, endpoint: Endpoint, operation: openapi.Operation) -> HotRoute:
    async def permitted(request: Request) -> Response:
        check_right(request, method, path)
        return await endpoint(request)

    return HotRoute(method, path, permitted, operation)


class GatewayApi(FastAPI):
    """FastAPI with the hot routes in its router, in its document and before its layers, and the outermost layer before all."""

    def __init__(self, hot: Sequence[HotRoute], site: Site, resolver: Resolver | None, **options: Any) -> None:
        super().__init__(
            title="Sayso",
            version="1",
            description=openapi.DESCRIPTION,
            openapi_tags=openapi.TAGS,
            exception_handlers=HANDLERS,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            dependencies=[Depends(require_right), Depends(refuse_repeated)],
            **options,
        )
        self.add_middleware(RequestCounter)
        self.hot = hot
        self.router.routes += [_Route(route) for route in hot]
        fast_path = FastPath(super().__call__, {(route.method, route.path): route.endpoint for route in hot})
        self._layers = AccessGuard(Authentication(HeadRequests(fast_path), resolver), site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._layers(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            operations = [(route.method, route.path, route.operation) for route in self.hot]
            self.openapi_schema = secured(openapi.described(super().openapi(), operations))
        return self.openapi_schema


class _Route(Route):
    """A hot route in the router: HEAD is no method of it (a layer before serves it); the matched route is in the scope, as with FastAPI's own."""

    def __init__(self, route: HotRoute) -> None:
        super().__init__(route.path, route.endpoint, methods=[route.method])
        self.methods = {route.method}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}
