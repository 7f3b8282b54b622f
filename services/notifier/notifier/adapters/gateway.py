"""How things stand, asked of the gateway over its REST: the runs that go on, what waits for people, the past of a run.

The read model behind it may lag behind the log or be ahead of it; what follows from that is the hub's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
from pydantic_core import to_json

from contracts.runs.views import TERMINAL, State
from notifier.hub.client import Filters

MOST = 200
"""Runs that a snapshot shows; the newest are."""

OPEN = [state for state in State if state not in TERMINAL]
"""In the order in which a run goes through them: asked for one after the other, none that moves on is missed."""

SECONDS = 5.0
CONNECTIONS = 20


class GatewayAway(Exception):
    """The gateway cannot be reached, or does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Views of runs and the approvals that wait among them; `truncated` when there are more."""

    runs: tuple[dict[str, Any], ...]
    approvals: tuple[dict[str, Any], ...]
    truncated: bool

    @property
    def versions(self) -> dict[str, int]:
        """The version of each run."""
        return {view["run_id"]: view["version"] for view in self.runs}


class Snapshots:
    """Asks the gateway at `url`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, timeout=SECONDS, limits=httpx.Limits(max_connections=CONNECTIONS), trust_env=False
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def check(self) -> None:
        """Return when the gateway answers. Raises GatewayAway."""
        await self._answer("/health/live")

    async def take(self, filters: Filters) -> Standing:
        """Return how things stand for `filters`. A run that is asked for by its id is shown though it is over.

        Raises GatewayAway.
        """
        if filters.run_id is not None:
            view = await self._get(f"/hitl/runs/{filters.run_id}")
            return _standing([view] if view is not None else [], filters, more=False)
        pages = [await self._page("/hitl/runs", _query(filters, state)) for state in OPEN]
        views = [view for page in pages if page for view in page.items]
        return _standing(views, filters, more=any(page.more for page in pages if page))

    async def history(self, run_id: str) -> list[bytes] | None:
        """Return every event of a run that the read model has; None when it knows no such run. Raises GatewayAway."""
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

    async def _page(self, path: str, query: Mapping[str, str]) -> _Page | None:
        answer = await self._get(path, query)
        if answer is None:
            return None
        try:
            return _Page(answer["items"], answer.get("next_cursor", answer.get("next_after")) is not None)
        except (KeyError, TypeError) as error:
            raise GatewayAway(f"{path}: not a page") from error

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        answer = await self._answer(path, query)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise GatewayAway(f"{path}: not JSON") from error

    async def _answer(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        try:
            answer = await self._http.get(path, params=query)
        except httpx.HTTPError as error:
            raise GatewayAway(f"{path}: {error or type(error).__name__}") from error
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise GatewayAway(f"{path}: answered {answer.status_code}")
        return answer


class _Page(NamedTuple):
    items: list[dict[str, Any]]
    more: bool


def _query(filters: Filters, state: State) -> dict[str, str]:
    wanted = {"state": state.value, "session_id": filters.session_id, "user_id": filters.user_id, "limit": str(MOST)}
    return {name: value for name, value in wanted.items() if value is not None}


def _standing(views: list[dict[str, Any]], filters: Filters, *, more: bool) -> Standing:
    # A run that moved on between two questions is there twice; the later answer counts.
    newest: dict[str, dict[str, Any]] = {}
    for view in views:
        if filters.session_id in (None, view["session_id"]) and filters.user_id in (None, view["user_id"]):
            newest[view["run_id"]] = view
    runs = sorted(newest.values(), key=lambda view: str(view["created_at"]), reverse=True)
    shown = tuple(runs[:MOST])
    # What `GET /hitl/approvals` lists are these very views; asking for them twice could give two truths.
    waiting = tuple(view for view in shown if view["checkpoint"] is not None)
    return Standing(shown, waiting, truncated=more or len(runs) > MOST)
