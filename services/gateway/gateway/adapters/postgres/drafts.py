"""Drafts in PostgreSQL, in a schema of their own."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from chassis.postgres.named_queries import named_queries
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.ports import KeptDraft

KEPT = timedelta(days=90)
"""For so long a draft is kept that its person does not touch."""


class PostgresDrafts:
    """One draft a person and run. Every method raises DatabaseUnavailable when PostgreSQL does not answer."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._sql = named_queries(__package__)

    async def put(self, tenant: str, run_id: UUID, person: str, draft: KeptDraft) -> None:
        """Keep a person's draft in place of the one before, and drop a few that were forgotten."""
        await self._database.fetch(
            self._sql["put-draft"], tenant, run_id, person, draft.checkpoint_id, draft.json, draft.saved_at
        )
        await self._database.fetch(self._sql["drop-forgotten-drafts"], draft.saved_at - KEPT)

    async def get(self, tenant: str, run_id: UUID, person: str) -> KeptDraft | None:
        """Return a person's draft, or None."""
        rows = await self._database.fetch(self._sql["get-draft"], tenant, run_id, person)
        return KeptDraft(**rows[0]) if rows else None

    async def drop(self, tenant: str, run_id: UUID, person: str) -> bool:
        """Drop a person's draft; return whether there was one."""
        return bool(await self._database.fetch(self._sql["drop-draft"], tenant, run_id, person))
