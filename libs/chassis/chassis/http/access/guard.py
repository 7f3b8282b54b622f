"""The outermost layer of every service: which names it is asked by, and which pages may ask it, over HTTP and WebSockets alike.

Knows no routes but those of health. Starlette's CORSMiddleware tells browsers of the pages that are allowed.
"""

from __future__ import annotations

from starlette.middleware.cors import ALL_METHODS, CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http.access.origins import Authority, Site, may_probe, read_host, read_origin
from chassis.http.health import PATHS as HEALTH
from chassis.http.problems import problem_response

EXPOSED = ("ETag", "Location", "Retry-After", "Allow", "Accept-Encoding", "Content-Disposition")
"""Headers of answers that a page may read beside those that every page may."""


class AccessGuard:
    """Refuses requests under a foreign name and by foreign pages; lets the rest through, with CORS for the pages that are named."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._site = site
        self._app = _SpokenOrigins(app, site) if site.origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] in ("http", "websocket") and (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        asked = read_host(hosts[0].decode("latin-1")) if len(hosts) == 1 else None
        if asked is None:
            return problem_response(
                "bad_request", "a request names its host in one well-formed Host field", scope["path"]
            )
        if not self._is_named(scope, asked):
            detail = f"this service is not called {asked.host!r}; SAYSO_HOSTS names what it is called"
            return problem_response("forbidden", detail, scope["path"])
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if origins and not self._is_welcome(origins, asked):
            detail = f"a page of {origins[0][:200]} may not use this service; SAYSO_ORIGINS names the pages that may"
            return problem_response("forbidden", detail, scope["path"])
        return None

    def _is_named(self, scope: Scope, asked: Authority) -> bool:
        reached = scope.get("server")
        if self._site.is_named(asked, reached[0] if reached else None):
            return True
        # Probes and scrapers ask by the address or the name of a container.
        return scope["path"] in HEALTH and may_probe(asked.host)

    def _is_welcome(self, origins: list[str], asked: Authority) -> bool:
        origin = read_origin(origins[0]) if len(origins) == 1 else None
        return self._site.allows(origin) or self._site.is_own_page(origin, asked)


class _SpokenOrigins(CORSMiddleware):
    """CORS for the origins of a site, in any spelling. What a page may send is up to it: it is trusted by name."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        super().__init__(
            app,
            allow_origins=["named by the site"],
            allow_methods=ALL_METHODS,
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=EXPOSED,
        )
        self._site = site

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether the site allows the origin."""
        return self._site.allows(read_origin(origin))
