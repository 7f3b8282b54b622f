"""The reading side of the read model, bound to a tenant: the tables say which runs and versions, the ledger has their events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import asyncpg

from chassis.postgres.named_queries import named_queries
from contracts.ledger_schema import events_of
from contracts.runs.event_header import EventHeader
from contracts.runs.views import TERMINAL
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.ports import Page, Place, StepEvent
from gateway.projection.view import RenderedView, fold, render

_FIRST = Place(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_LAST = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


_CONDITIONS = {"state": "AND ended IS NULL AND state = $%d"}
"""The condition of a filter that is more than the equality of a column. Open runs have an index of their own; states have none."""


class PostgresViews:
    """Reads what the projector has written. Every method raises DatabaseUnavailable when PostgreSQL does not answer."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._sql = named_queries(__package__)

    async def run(self, tenant: str, run_id: UUID) -> RenderedView | None:
        """Return one run of this tenant, or None."""
        view = fold(event for _, event in await self._events(tenant, run_id, 0, None))
        return render(view) if view else None

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> Page:
        """Return a page of runs, newest first."""
        ended = state if state in TERMINAL else None
        filters = {"state": None if ended else state, "ended": ended, "session_id": session_id, "user_id": user_id}
        return await self._page("runs", limit, tenant, after or _LAST, filters)

    async def pending(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        step: str | None = None,
        assignee: str | None = None,
        group: str | None = None,
        session_id: str | None = None,
    ) -> Page:
        """Return a page of the runs with an open checkpoint, oldest checkpoint first."""
        if group is not None:
            # No checkpoint is offered to a group yet, so none waits for one.
            return Page([], None)
        filters = {"p.step": step, "p.assignee": assignee, "p.session_id": session_id}
        return await self._page("pending", limit, tenant, after or _FIRST, filters)

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> list[StepEvent]:
        """Return events of a run behind the version `after`, in order."""
        found = await self._events(tenant, run_id, after, limit)
        return [StepEvent(version, EventHeader.parse(event).kind, event) for version, event in found[:limit]]

    async def _events(self, tenant: str, run_id: UUID, after: int, commits: int | None) -> list[tuple[int, bytes]]:
        rows = await self._database.fetch(self._sql["history"], tenant, run_id, after, commits)
        return [
            (version, event)
            for row in rows
            for version, event in enumerate(events_of(row["events"]), start=row["version"])
            if after < version <= row["reached"]
        ]

    async def _page(self, query: str, limit: int, tenant: str, after: Place, filters: Mapping[str, str | None]) -> Page:
        given = {column: value for column, value in filters.items() if value is not None}
        conditions = " ".join(_CONDITIONS.get(name, f"AND {name} = $%d") % at for at, name in enumerate(given, start=5))
        sql = self._sql[query].replace("{conditions}", conditions)
        rows = await self._database.fetch(sql, tenant, *after, limit + 1, *given.values())
        shown = rows[:limit]
        views = await self._views(shown)
        # A run whose events were published but are not in the ledger is not shown.
        return Page(
            [views[row["run_id"]] for row in shown if row["run_id"] in views],
            _place(shown[-1]) if len(rows) > limit else None,
        )

    async def _views(self, rows: Sequence[asyncpg.Record]) -> dict[UUID, bytes]:
        run_ids, versions = [row["run_id"] for row in rows], [row["version"] for row in rows]
        views: dict[UUID, bytes] = {}
        found = await self._database.fetch(self._sql["histories"], run_ids, versions)
        for run_id, commits in groupby(found, itemgetter("run_id")):
            view = fold(event for row in commits for event in events_of(row["events"])[: row["count"]])
            assert view is not None, "a group has a member"
            views[run_id] = render(view).json
            await asyncio.sleep(0)  # lets other requests run: a long page takes as long as many of them
        return views


def _place(row: asyncpg.Record) -> Place:
    return Place(row["at"], row["id"])
