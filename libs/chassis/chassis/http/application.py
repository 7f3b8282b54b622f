"""The application of a service without a framework of its own: routes behind the access guard, problems for the paths that it has not."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import StatelessLifespan

from chassis.background import Background
from chassis.http.access.guard import AccessGuard
from chassis.http.access.origins import Site
from chassis.http.problems import on_http_exception


def guarded_app(
    routes: Sequence[BaseRoute], lifespan: StatelessLifespan[Starlette], background: Background, site: Site
) -> Starlette:
    """Return the application; the server ends the process when a task of `background` fails."""
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(AccessGuard, site)],
        exception_handlers={HTTPException: on_http_exception},
    )
    app.state.background = background
    return app
