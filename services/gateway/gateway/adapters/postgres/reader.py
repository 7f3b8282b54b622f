"""The reading side of the read model, bound to a tenant: the tables say which runs and versions, the ledger has their events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg

from chassis.postgres.named_queries import named_queries
from contracts.ledger_schema import events_of
from contracts.runs.event_header import EventHeader
from contracts.runs.tasks.readers import Reader
from contracts.runs.views import RenderedView, render
from gateway.adapters.postgres.conditions import (
    Condition,
    behind,
    numbered,
    ordering,
    pending_conditions,
    run_conditions,
)
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.ports import History, Page, Place, StepEvent, WaitingPage, WaitingPlace
from gateway.projection.listed_views import ListedViews
from gateway.projection.long_views import LONG, LongViews
from gateway.projection.pages import PAGE_BYTES, fitting
from gateway.projection.view import fold
from gateway.projection.waiting_list import EVERYTHING, MOST_COUNTED, OLDEST_FIRST, WaitingFilters, WaitingOrder

_BATCH_BYTES = 512 * 1024
"""Bytes of histories that are read at a time for a page."""

_READ_BYTES = 8 * 1024 * 1024
"""Bytes of histories that are read for one page, however little of them is shown."""

_EVENT_BYTES = 2 * 1024
"""What an event costs beyond its bytes, in bytes: folding many small ones takes as long as few large ones."""


class PostgresViews:
    """Reads what the projector has written. Every method raises DatabaseUnavailable when PostgreSQL does not answer."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._sql = named_queries(__package__)
        self._long = LongViews()
        self._listed = ListedViews()

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

    async def may_read(self, tenant: str, run_id: UUID, reader: Reader) -> bool:
        """Return whether a reader may read a run; False where there is none."""
        found = await self._database.fetch(self._sql["may-read"], tenant, run_id, list(reader.entries), reader.person)
        return bool(found) and found[0]["may"]

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        is_open: bool = False,
        reader: Reader | None = None,
    ) -> Page:
        """Return a page of runs, newest first; with `is_open`, of those that are not over."""
        equal = {"session_id": session_id, "user_id": user_id}
        conditions, values = numbered(run_conditions(equal, state, after, reader, is_open=is_open))
        sql = self._sql["runs"].replace("{conditions}", conditions)
        views, end = await self._page(tenant, limit, sql, values)
        return Page(views, None if end is None else Place(end["at"], end["id"]))

    async def pending(
        self,
        tenant: str,
        limit: int,
        after: WaitingPlace | None = None,
        filters: WaitingFilters = EVERYTHING,
        order: WaitingOrder = OLDEST_FIRST,
        reader: Reader | None = None,
    ) -> WaitingPage:
        """Return a page of the runs with an open checkpoint, and how many there are."""
        asked = pending_conditions(filters, reader)
        conditions, values = numbered([*asked, behind(after, order)] if after else asked)
        sql = self._sql["pending"].replace("{conditions}", conditions)
        for name, text in ordering(order).items():
            sql = sql.replace(f"{{{name}}}", text)
        # Counting goes on beside: in PostgreSQL, while views are folded here.
        (views, end), total = await asyncio.gather(self._page(tenant, limit, sql, values), self._count(tenant, asked))
        return WaitingPage(views, None if end is None else WaitingPlace(end["at"], end["id"], end["rank"]), total)

    async def count(self, tenant: str, filters: WaitingFilters, reader: Reader | None) -> int:
        """Return how many checkpoints a list holds, MOST_COUNTED at most."""
        return await self._count(tenant, pending_conditions(filters, reader))

    async def _count(self, tenant: str, asked: list[Condition]) -> int:
        conditions, values = numbered(asked)
        sql = self._sql["count-pending"].replace("{conditions}", conditions)
        return int((await self._database.fetch_planned(sql, tenant, MOST_COUNTED, *values))[0]["count"])

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
        self, tenant: str, limit: int, sql: str, values: list[Any]
    ) -> tuple[list[bytes], asyncpg.Record | None]:
        """Return the views of the first rows, as many as a page has, and the last of these rows if more follow."""
        rows = await self._database.fetch_planned(sql, tenant, limit + 1, *values)
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
                    return views, rows[seen - 1]
                views += [view] if view else []
                seen += 1
        return views, rows[seen - 1] if seen < len(rows) else None

    async def _views(self, tenant: str, rows: Sequence[asyncpg.Record]) -> dict[UUID, bytes]:
        kept = [(row["run_id"], self._listed.get(row["run_id"], row["version"])) for row in rows]
        views = {run_id: view for run_id, view in kept if view is not None}
        rest = [row for row in rows if row["run_id"] not in views]
        long = [row["run_id"] for row in rest if row["version"] >= LONG]
        views |= {run_id: run.json for run_id in long if (run := await self.run(tenant, run_id))}
        short = [row for row in rest if row["version"] < LONG]
        if not short:
            return views
        run_ids, versions = [row["run_id"] for row in short], [row["version"] for row in short]
        found = await self._database.fetch(self._sql["histories"], run_ids, versions)
        for run_id, commits in groupby(found, itemgetter("run_id")):
            view = fold(event for row in commits for event in events_of(row["events"])[: row["count"]])
            assert view is not None, "a group has a member"
            views[run_id] = render(view).json
            self._listed.keep(run_id, view.version, views[run_id])
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
