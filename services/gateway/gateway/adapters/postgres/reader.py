"""The reading side of the read model, bound to a tenant: the tables say which runs and how far, the record what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import asyncpg

from contracts.ledger_schema import events_of
from contracts.runs.event_header import EventHeader
from contracts.runs.views import TERMINAL
from gateway.adapters.postgres.pool import Database
from gateway.ports import Page, Place, Run, StepEvent
from gateway.projection.view import fold, run_of

_FIRST = Place(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_LAST = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


def named_queries() -> dict[str, str]:
    """Read `queries.sql`: each query by its name."""
    text = resources.files(__package__).joinpath("queries.sql").read_text()
    sections = text.split("-- name: ")[1:]
    return {name: query.strip() for name, _, query in (section.partition("\n") for section in sections)}


_CONDITIONS = {"state": "and ended is null and state = $%d"}
"""What a filter asks, where that is more than whether a column has the value. Runs that go on have an index, their states none."""


class PostgresViews:
    """Reads what the projection has written. Every method raises Away when PostgreSQL does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = named_queries()

    async def run(self, tenant: str, run_id: UUID) -> Run | None:
        """Return one run of this tenant, or None."""
        view = fold(record for _, record in await self._events(tenant, run_id, 0, None))
        return run_of(view) if view else None

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
        """Return a page of the runs with a checkpoint that waits, oldest checkpoint first."""
        if group is not None:
            # No checkpoint is offered to a group yet, so none waits for one.
            return Page([], None)
        filters = {"p.step": step, "p.assignee": assignee, "p.session_id": session_id}
        return await self._page("pending", limit, tenant, after or _FIRST, filters)

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> list[StepEvent]:
        """Return events of a run behind the version `after`, in order."""
        found = await self._events(tenant, run_id, after, limit)
        return [StepEvent(version, EventHeader.parse(record).kind, record) for version, record in found[:limit]]

    async def _events(self, tenant: str, run_id: UUID, after: int, decisions: int | None) -> list[tuple[int, bytes]]:
        rows = await self._database.fetch(self._sql["history"], tenant, run_id, after, decisions)
        return [
            (version, record)
            for row in rows
            for version, record in enumerate(events_of(row["events"]), start=row["version"])
            if after < version <= row["reached"]
        ]

    async def _page(self, query: str, limit: int, tenant: str, after: Place, filters: Mapping[str, str | None]) -> Page:
        given = {column: value for column, value in filters.items() if value is not None}
        conditions = " ".join(_CONDITIONS.get(name, f"and {name} = $%d") % at for at, name in enumerate(given, start=5))
        sql = self._sql[query].replace("{conditions}", conditions)
        rows = await self._database.fetch(sql, tenant, *after, limit + 1, *given.values())
        shown = rows[:limit]
        views = await self._views(shown)
        # What was published and never recorded is nobody's run.
        return Page(
            [views[row["run_id"]] for row in shown if row["run_id"] in views],
            _place(shown[-1]) if len(rows) > limit else None,
        )

    async def _views(self, rows: Sequence[asyncpg.Record]) -> dict[UUID, bytes]:
        run_ids, versions = [row["run_id"] for row in rows], [row["version"] for row in rows]
        views: dict[UUID, bytes] = {}
        decisions = await self._database.fetch(self._sql["histories"], run_ids, versions)
        for run_id, decided in groupby(decisions, itemgetter("run_id")):
            view = fold(event for row in decided for event in events_of(row["events"])[: row["count"]])
            assert view is not None, "a group has a member"
            views[run_id] = run_of(view).view
            await asyncio.sleep(0)  # others have their turn: a long page takes as long as many requests
        return views


def _place(row: asyncpg.Record) -> Place:
    return Place(row["at"], row["id"])
