"""The gateway's metrics, and the layer that counts requests."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("sayso_gateway_requests", "Requests by route and status.", ["method", "route", "status"])
REFUSED = Counter(
    "sayso_gateway_refused_credentials", "Requests without a credential that holds, by the reason.", ["reason"]
)
FORBIDDEN = Counter("sayso_gateway_forbidden", "Requests that a credential has no right to, by its tenant.", ["tenant"])
OUTCOME_SECONDS = Histogram(
    "sayso_gateway_outcome_seconds",
    "From sending a command to its outcome.",
    ["outcome"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PROJECTED = Counter("sayso_projection_events", "Events that the read model has taken in.")
SKIPPED = Counter("sayso_projection_events_seen_before", "Events that came again.")
GAPS = Counter("sayso_projection_gaps", "Runs whose next event was found missing, in the record too.")
DEAD = Counter("sayso_gateway_dead_letters", "Records that could not be read.", ["topic"])
PROJECTION_LAG = Gauge(
    "sayso_projection_lag_seconds", "From an event to its place in the read model, for the batch written last."
)
PROJECTION_SECONDS = Histogram(
    "sayso_projection_batch_seconds",
    "How long a batch took to be written.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)


@cache
def requests_of(method: str, route: str, status: int) -> Counter:
    """Return the counter of one route's answers. Kept: a look-up by labels costs more than the count."""
    return REQUESTS.labels(method, route, status)


@cache
def seconds_to(outcome: str) -> Histogram:
    """Return the histogram of one kind of outcome."""
    return OUTCOME_SECONDS.labels(outcome)


class RequestCounter:
    """Counts each request under its route's path, never under the path that was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                REQUESTS.labels(scope["method"], route, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, counting)
