"""Sessions in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from chassis.postgres.connections import ConnectionPool
from chassis.postgres.named_queries import named_queries
from contracts.identity import Principal, Role
from identity.driver_errors import Check, querying
from identity.sessions.record import SessionRecord

_ROLES = frozenset(Role)


class SessionStore:
    """Implements `ports.Sessions` on a pool. It keeps hashes, and never a session's text.

    `check` is called before each query, so that a known outage is told at once.
    """

    def __init__(self, pool: ConnectionPool, check: Check = lambda: None) -> None:
        self._pool = pool
        self._check = check
        self._sql = named_queries(__package__)

    async def find(self, sha256: str, now: datetime) -> SessionRecord | None:
        """Return the session with this hash, or None."""
        with querying(self._check):
            row = await self._pool.fetchrow(self._sql["find"], sha256, now)
        return None if row is None else _record(row)

    async def ended(self, sessions: Collection[UUID], keys: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these sessions and keys do not hold: one query for all."""
        with querying(self._check):
            return {row["id"] for row in await self._pool.fetch(self._sql["ended"], list(sessions), list(keys), now)}

    async def add(self, record: SessionRecord, sha256: str) -> None:
        """Keep a new session. Raises KeyExists."""
        with querying(self._check):
            await self._pool.execute(
                self._sql["add"],
                record.id,
                sha256,
                record.principal.model_dump_json(),
                record.key_id,
                record.created_at,
                record.used_at,
                record.expires_at,
            )

    async def end(self, sha256: str, now: datetime) -> None:
        """End a session for ever; one that has ended stays so."""
        with querying(self._check):
            await self._pool.execute(self._sql["end"], sha256, now)


def _record(row: asyncpg.Record) -> SessionRecord:
    return SessionRecord(
        id=row["id"],
        principal=_principal(json.loads(row["principal"])),
        key_id=row["key_id"],
        created_at=row["created_at"],
        used_at=row["used_at"],
        expires_at=row["expires_at"],
        is_revoked=row["is_revoked"],
    )


def _principal(members: dict[str, Any]) -> Principal:
    """Return a principal that was kept. A role that only a newer version knows gives no right here."""
    return Principal.model_validate({**members, "roles": [role for role in members["roles"] if role in _ROLES]})
