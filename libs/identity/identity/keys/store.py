"""API keys in PostgreSQL.

`chassis.postgres.migrations.migrate(url, {"identity": "identity.migrations"})` makes the tables.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.postgres.connections import ConnectionPool
from chassis.postgres.named_queries import named_queries
from contracts.identity import Role
from identity.driver_errors import Check, querying
from identity.keys.record import KeyRecord
from identity.ports import After

TABLE = "identity.api_keys"

_ROLES = frozenset(Role)


class KeyStore:
    """Implements `ports.KeyRepository` on a pool. It keeps hashes, and never a key.

    `check` is called before each query, so that a known outage is told at once.
    """

    def __init__(self, pool: ConnectionPool, check: Check = lambda: None) -> None:
        self._pool = pool
        self._check = check
        self._sql = named_queries(__package__)

    async def find(self, sha256: str) -> KeyRecord | None:
        """Return the key with this hash, or None."""
        with querying(self._check):
            return _record_or_none(await self._pool.fetchrow(self._sql["find"], sha256))

    async def ended(self, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these keys are revoked, expired or not there: one query for all."""
        with querying(self._check):
            return {row["id"] for row in await self._pool.fetch(self._sql["ended"], list(ids), now)}

    async def has_any(self) -> bool:
        """Return whether there is any key."""
        with querying(self._check):
            return bool(await self._pool.fetchval(self._sql["has-any"]))

    async def get(self, tenant: str, key_id: UUID) -> KeyRecord | None:
        """Return a key of this tenant, or None."""
        with querying(self._check):
            return _record_or_none(await self._pool.fetchrow(self._sql["get"], tenant, key_id))

    async def page(self, tenant: str, limit: int, after: After | None = None) -> list[KeyRecord]:
        """Return this tenant's keys behind `after`, oldest first, `limit` at most."""
        query = "first-page" if after is None else "next-page"
        with querying(self._check):
            return [_record(row) for row in await self._pool.fetch(self._sql[query], tenant, limit, *(after or ()))]

    async def add(self, record: KeyRecord, sha256: str) -> None:
        """Keep a new key. Raises KeyExists."""
        with querying(self._check):
            await self._pool.execute(
                self._sql["add"],
                record.id,
                record.tenant,
                sha256,
                record.name,
                record.subject,
                record.kind,
                record.roles,
                record.groups,
                record.owner,
                record.prefix,
                record.created_at,
                record.created_by,
                record.expires_at,
                record.revoked_at,
                record.replaced_by,
                record.scopes,
            )

    async def revoke(self, tenant: str, key_id: UUID, at: datetime) -> bool:
        """Revoke a key for ever; return whether the tenant has such a key."""
        with querying(self._check):
            return await self._pool.fetchval(self._sql["revoke"], tenant, key_id, at) is not None

    async def rotate(
        self, tenant: str, key_id: UUID, new: KeyRecord, sha256: str, overlap_ends_at: datetime
    ) -> KeyRecord | None:
        """Keep `new` in place of a key; return that former key as it is now, or None if nothing was done. Raises KeyExists."""
        with querying(self._check):
            row = await self._pool.fetchrow(
                self._sql["rotate"],
                new.id,
                tenant,
                sha256,
                new.name,
                new.subject,
                new.kind,
                new.roles,
                new.groups,
                new.prefix,
                new.created_at,
                new.created_by,
                new.expires_at,
                key_id,
                overlap_ends_at,
                new.owner,
                new.scopes,
            )
            return _record_or_none(row)


def _record_or_none(row: asyncpg.Record | None) -> KeyRecord | None:
    return None if row is None else _record(row)


def _record(row: asyncpg.Record) -> KeyRecord:
    """Return a row as a record. A role that only a newer version knows gives no right here."""
    return KeyRecord(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        subject=row["subject"],
        kind=row["kind"],
        roles=tuple(Role(role) for role in row["roles"] if role in _ROLES),
        groups=tuple(row["groups"]),
        scopes=tuple(row["scopes"]),
        owner=row["owner"],
        prefix=row["prefix"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        replaced_by=row["replaced_by"],
    )
