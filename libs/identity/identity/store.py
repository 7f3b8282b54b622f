"""API keys in PostgreSQL. The driver's errors become IdentityUnavailable and KeyExists here and nowhere else.

`chassis.postgres.migrations.migrate(url, {"identity": "identity.migrations"})` makes the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.postgres.connections import ConnectionPool
from chassis.postgres.driver_errors import UNAVAILABLE, is_refusal_of_value, reason_of
from chassis.postgres.named_queries import named_queries
from contracts.identity import Role
from identity.api_keys import KeyRecord
from identity.errors import IdentityUnavailable, KeyExists
from identity.ports import After

TABLE = "identity.api_keys"

_MISSING = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
_ROLES = frozenset(Role)


class KeyStore:
    """Implements `ports.KeyRepository` on a pool. It keeps hashes, and never a key."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._sql = named_queries(__package__)

    async def find(self, sha256: str) -> KeyRecord | None:
        """Return the key with this hash, or None."""
        with _driver_errors():
            return _record_or_none(await self._pool.fetchrow(self._sql["find"], sha256))

    async def ended(self, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these keys are revoked, expired or not there: one query for all."""
        with _driver_errors():
            return {row["id"] for row in await self._pool.fetch(self._sql["ended"], list(ids), now)}

    async def has_any(self) -> bool:
        """Return whether there is any key."""
        with _driver_errors():
            return bool(await self._pool.fetchval(self._sql["has-any"]))

    async def get(self, tenant: str, key_id: UUID) -> KeyRecord | None:
        """Return a key of this tenant, or None."""
        with _driver_errors():
            return _record_or_none(await self._pool.fetchrow(self._sql["get"], tenant, key_id))

    async def page(self, tenant: str, limit: int, after: After | None = None) -> list[KeyRecord]:
        """Return this tenant's keys behind `after`, oldest first, `limit` at most."""
        query = "first-page" if after is None else "next-page"
        with _driver_errors():
            return [_record(row) for row in await self._pool.fetch(self._sql[query], tenant, limit, *(after or ()))]

    async def add(self, record: KeyRecord, sha256: str) -> None:
        """Keep a new key. Raises KeyExists."""
        with _driver_errors():
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
            )

    async def revoke(self, tenant: str, key_id: UUID, at: datetime) -> bool:
        """Revoke a key for ever; return whether the tenant has such a key."""
        with _driver_errors():
            return await self._pool.fetchval(self._sql["revoke"], tenant, key_id, at) is not None

    async def rotate(
        self, tenant: str, key_id: UUID, new: KeyRecord, sha256: str, overlap_ends_at: datetime
    ) -> KeyRecord | None:
        """Keep `new` in place of a key; return that former key as it is now, or None if nothing was done. Raises KeyExists."""
        with _driver_errors():
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
            )
            return _record_or_none(row)


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise KeyExists(KeyExists.__doc__) from error
    except (*UNAVAILABLE, *_MISSING) as error:
        if is_refusal_of_value(error):
            raise  # our own fault, which no other try mends
        raise IdentityUnavailable(reason_of(error)) from error


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
        owner=row["owner"],
        prefix=row["prefix"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        replaced_by=row["replaced_by"],
    )
