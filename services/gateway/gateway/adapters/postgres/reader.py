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
from contracts.runs.views import TERMINAL, RenderedView, render
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.ports import History, Page, Place, StepEvent
from gateway.projection.long_views import LONG, LongViews
from gateway.projection.pages import PAGE_BYTES, fitting
from gateway.projection.view import fold

_FIRST = Place(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_LAST = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))

_BATCH_BYTES = 512 * 1024
"""Bytes of histories that are read at a time for a page."""

_READ_BYTES = 8 * 1024 * 1024
"""Bytes of histories that are read for one page, however little of them is shown."""

_EVENT_BYTES = 2 * 1024
"""What an event costs beyond its bytes, in bytes: folding many small ones takes as long as few large ones."""

_CONDITIONS = {"state": "AND ended IS NULL AND state = $%d"}
"""The condition of a filter that is more than the equality of a column. Open runs have an index of their own; states have none."""


class PostgresViews:
    """Reads what the projector has written. Every method raises DatabaseUnavailable when PostgreSQL does not answer."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._sql = named_queries(__package__)
        self._long = LongViews()

    async def run(self, tenant: str, run_id: UUID) -> RenderedView | None:
        """Return one run of this tenant, or None. A long history is read in parts, and only once."""
        view, size, more = self._long.get(tenant, run_id), 0, True
        while more:
            events, more = await self._part(tenant, run_id, view.version if view else 0, None)
            view = fold((event for _, event in events), view)
            size += sum(len(event) for _, event in events)
            if more:
                await asyncio.sleep(0)  # lets other requests run
        if view is None:
            return None
        rendered = render(view)
        if size:
            self._long.keep(tenant, view, len(rendered.json))
        return rendered

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        requester: str | None = None,
        is_open: bool = False,
    ) -> Page:
        """Return a page of runs, newest first; with `is_open`, of those that are not over."""
        ended = state if state in TERMINAL else None
        filters = {
            "state": None if ended else state,
            "ended": ended,
            "session_id": session_id,
            "user_id": user_id,
            "requester": requester,
        }
        return await self._page("runs", limit, tenant, after or _LAST, filters, "AND ended IS NULL" if is_open else "")

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
        requester: str | None = None,
    ) -> Page:
        """Return a page of the runs with an open checkpoint, oldest checkpoint first."""
        if group is not None:
            # No checkpoint is offered to a group yet, so none waits for one.
            return Page([], None)
        filters = {"p.step": step, "p.assignee": assignee, "p.session_id": session_id, "r.requester": requester}
        return await self._page("pending", limit, tenant, after or _FIRST, filters)

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> History:
        """Return events of a run behind the version `after`, in order."""
        events, more = await self._part(tenant, run_id, after, limit)
        return History([StepEvent(version, EventHeader.parse(event).kind, event) for version, event in events], more)

    async def _part(
        self, tenant: str, run_id: UUID, after: int, limit: int | None
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """Return events behind `after` with their versions, as many as a page has, and whether more follow."""
        rows = await self._database.fetch(self._sql["history"], tenant, run_id, after, limit, PAGE_BYTES)
        events = [
            (version, event)
            for row in rows
            for version, event in enumerate(events_of(row["events"]), start=row["version"])
            if after < version <= row["reached"]
        ][:limit]
        events = events[: fitting([event for _, event in events])]
        return events, bool(events) and events[-1][0] < rows[0]["reached"]

    async def _page(
        self, query: str, limit: int, tenant: str, after: Place, filters: Mapping[str, str | None], further: str = ""
    ) -> Page:
        given = {column: value for column, value in filters.items() if value is not None}
        conditions = [_CONDITIONS.get(name, f"AND {name} = $%d") % at for at, name in enumerate(given, start=5)]
        sql = self._sql[query].replace("{conditions}", " ".join([*conditions, further]))
        rows = await self._database.fetch(sql, tenant, *after, limit + 1, *given.values())
        views: list[bytes] = []
        seen = sent = read = 0
        while seen < min(limit, len(rows)) and read < _READ_BYTES:
            batch = _batch(rows[seen:limit])
            read += sum(map(_cost, batch))
            found = await self._views(tenant, batch)
            for row in batch:
                # A run whose events were published but are not in the ledger is not shown.
                view = found.get(row["run_id"])
                sent += len(view or b"")
                if views and sent > PAGE_BYTES:
                    return Page(views, _place(rows[seen - 1]))
                views += [view] if view else []
                seen += 1
        return Page(views, _place(rows[seen - 1]) if seen < len(rows) else None)

    async def _views(self, tenant: str, rows: Sequence[asyncpg.Record]) -> dict[UUID, bytes]:
        long = [row["run_id"] for row in rows if row["version"] >= LONG]
        views = {run_id: run.json for run_id in long if (run := await self.run(tenant, run_id))}
        short = [row for row in rows if row["version"] < LONG]
        if not short:
            return views
        run_ids, versions = [row["run_id"] for row in short], [row["version"] for row in short]
        found = await self._database.fetch(self._sql["histories"], run_ids, versions)
        for run_id, commits in groupby(found, itemgetter("run_id")):
            view = fold(event for row in commits for event in events_of(row["events"])[: row["count"]])
            assert view is not None, "a group has a member"
            views[run_id] = render(view).json
            await asyncio.sleep(0)  # lets other requests run: a long page takes as long as many of them
        return views


def _batch(rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    """Return the first rows whose histories are read together: one at least."""
    size = 0
    for at, row in enumerate(rows):
        size += row["size"] or 0
        if at and size > _BATCH_BYTES:
            return rows[:at]
    return rows


def _cost(row: asyncpg.Record) -> int:
    return int(row["size"] or 0) + int(row["version"]) * _EVENT_BYTES


def _place(row: asyncpg.Record) -> Place:
    return Place(row["at"], row["id"])
