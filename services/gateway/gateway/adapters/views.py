"""The reading side of the read model: runs, histories and waiting checkpoints, bound to a tenant, as the JSON texts they are stored as."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from uuid import UUID

import asyncpg

from gateway.adapters.database import Database
from gateway.ports import Page, Place, Run, StepEvent

_FIRST = Place(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_LAST = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


def named_queries() -> dict[str, str]:
    """Read `views.sql`: each query by its name."""
    text = resources.files(__package__).joinpath("views.sql").read_text()
    sections = text.split("-- name: ")[1:]
    return {name: query.strip() for name, _, query in (section.partition("\n") for section in sections)}


class PostgresViews:
    """Reads what the projection has written. Every method raises Away when PostgreSQL does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = named_queries()

    async def run(self, tenant: str, run_id: UUID) -> Run | None:
        """Return one run of this tenant, or None."""
        rows = await self._database.fetch(self._sql["run"], tenant, run_id)
        return Run(*rows[0]) if rows else None

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
        filters = {"state": state, "session_id": session_id, "user_id": user_id}
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
        """Return events of a run behind the version `after`, in order, as far as its view has come."""
        rows = await self._database.fetch(self._sql["history"], tenant, run_id, after, limit)
        return [StepEvent(*row) for row in rows]

    async def _page(self, query: str, limit: int, tenant: str, after: Place, filters: Mapping[str, str | None]) -> Page:
        given = {column: value for column, value in filters.items() if value is not None}
        conditions = " ".join(f"and {column} = ${number}" for number, column in enumerate(given, start=5))
        sql = self._sql[query].replace("{conditions}", conditions)
        rows = await self._database.fetch(sql, tenant, *after, limit + 1, *given.values())
        shown = rows[:limit]
        return Page([row["view"] for row in shown], _place(shown[-1]) if len(rows) > limit else None)


def _place(row: asyncpg.Record) -> Place:
    return Place(row["at"], row["id"])
