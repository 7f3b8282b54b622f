"""The gateway's read model over its REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
from pydantic_core import to_json

from contracts.runs.views import TERMINAL, State
from notifier.errors import GatewayUnavailable
from notifier.ports import MAX_RUNS, Snapshot

OPEN = [state for state in State if state not in TERMINAL]
"""Open states in the order in which a run passes them: read one after the other, they miss no run that moves on."""

TIMEOUT_SECONDS = 5.0
MAX_CONNECTIONS = 20


class HttpGateway:
    """The gateway at `url`; `transport` stands in for the network."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False, transport=transport
        )

    async def snapshot(self, *, run_id: str | None, session_id: str | None, user_id: str | None) -> Snapshot:
        """Return the open runs that match every filter given. A run that is named by `run_id` is shown though it is over."""
        if run_id is not None:
            view = await self._get(f"/hitl/runs/{run_id}")
            matches = view and session_id in (None, view["session_id"]) and user_id in (None, view["user_id"])
            return Snapshot.of([view] if matches else [])
        wanted = {"session_id": session_id, "user_id": user_id, "limit": str(MAX_RUNS)}
        query = {name: value for name, value in wanted.items() if value is not None}
        pages = [await self._page("/hitl/runs", {**query, "state": state.value}) for state in OPEN]
        views = [view for page in pages if page for view in page.items]
        return Snapshot.of(views, truncated=any(page.more for page in pages if page))

    async def history(self, run_id: str) -> list[bytes] | None:
        """Return every event of a run, as values of `run.events`; None when there is no such run."""
        events: list[bytes] = []
        after = 0
        while True:
            page = await self._page(f"/hitl/runs/{run_id}/history", {"after": str(after)})
            if page is None:
                return None
            events += map(to_json, page.items)
            if not page.items or not page.more:
                return events
            after = page.items[-1]["version"]

    async def check(self) -> None:
        """Return if the gateway answers."""
        await self._response("/health/live")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _page(self, path: str, query: Mapping[str, str]) -> _Page | None:
        body = await self._get(path, query)
        if body is None:
            return None
        try:
            return _Page(body["items"], body.get("next_cursor", body.get("next_after")) is not None)
        except (KeyError, TypeError) as error:
            raise GatewayUnavailable(f"{path}: not a page") from error

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        response = await self._response(path, query)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise GatewayUnavailable(f"{path}: not JSON") from error

    async def _response(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        try:
            response = await self._http.get(path, params=query)
        except httpx.HTTPError as error:
            raise GatewayUnavailable(f"{path}: {error or type(error).__name__}") from error
        if not response.is_success and response.status_code != httpx.codes.NOT_FOUND:
            raise GatewayUnavailable(f"{path}: answered {response.status_code}")
        return response


class _Page(NamedTuple):
    items: list[dict[str, Any]]
    more: bool
