"""API keys and secrets in memory, for tests and for programs that embed a service. They end with the process."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from identity.errors import IdentityUnavailable, KeyExists
from identity.keys.record import KeyRecord, principal_of
from identity.ports import SECRET_BYTES, After


class MemoryKeys:
    """Implements `ports.KeyRepository` as the store does. `unavailable` makes the database unreachable."""

    def __init__(self) -> None:
        self.unavailable = False
        self._hashes: dict[str, UUID] = {}
        self._records: dict[UUID, KeyRecord] = {}

    async def find(self, sha256: str) -> KeyRecord | None:
        """Return the key with this hash, or None."""
        self._check()
        key_id = self._hashes.get(sha256)
        return None if key_id is None else self._records[key_id]

    async def ended(self, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these keys are revoked, expired or not there."""
        self._check()
        return {one for one in ids if one not in self._records or self._records[one].state_at(now) != "active"}

    def record(self, key_id: UUID) -> KeyRecord | None:
        """Return a key by its id, for the sessions that came from it."""
        return self._records.get(key_id)

    def of_person(self, tenant: str, person: str) -> list[KeyRecord]:
        """Return the keys of a person, its services' among them, in whatever state."""
        return [one for one in self._records.values() if one.tenant == tenant and principal_of(one).person == person]

    async def has_any(self) -> bool:
        """Return whether there is any key."""
        self._check()
        return bool(self._records)

    async def get(self, tenant: str, key_id: UUID) -> KeyRecord | None:
        """Return a key of this tenant, or None."""
        self._check()
        found = self._records.get(key_id)
        return found if found is not None and found.tenant == tenant else None

    async def page(self, tenant: str, limit: int, after: After | None = None) -> list[KeyRecord]:
        """Return this tenant's keys behind `after`, oldest first, `limit` at most."""
        self._check()
        mine = sorted((_place(one), one) for one in self._records.values() if one.tenant == tenant)
        return [one for at, one in mine if after is None or at > after][:limit]

    async def add(self, record: KeyRecord, sha256: str) -> None:
        """Keep a new key. Raises KeyExists."""
        self._check()
        if record.id in self._records or sha256 in self._hashes:
            raise KeyExists(KeyExists.__doc__)
        self._records[record.id], self._hashes[sha256] = record, record.id

    async def revoke(self, tenant: str, key_id: UUID, at: datetime) -> bool:
        """Revoke a key for ever; return whether the tenant has such a key."""
        found = await self.get(tenant, key_id)
        if found is not None and found.revoked_at is None:
            self._records[key_id] = replace(found, revoked_at=at)
        return found is not None

    async def rotate(
        self, tenant: str, key_id: UUID, new: KeyRecord, sha256: str, overlap_ends_at: datetime
    ) -> KeyRecord | None:
        """Keep `new` in place of a key; return that former key as it is now, or None if nothing was done. Raises KeyExists."""
        found = await self.get(tenant, key_id)
        if found is None or found.replaced_by is not None or found.state_at(new.created_at) != "active":
            return None
        await self.add(replace(new, tenant=tenant), sha256)
        ends = overlap_ends_at if found.expires_at is None else min(found.expires_at, overlap_ends_at)
        former = self._records[key_id] = replace(found, replaced_by=new.id, expires_at=ends)
        return former

    def _check(self) -> None:
        if self.unavailable:
            raise IdentityUnavailable("switched off")


class MemorySecrets:
    """Implements `ports.Secrets` as the store does. `unavailable` makes the database unreachable."""

    def __init__(self) -> None:
        self.unavailable = False
        self._values: dict[str, bytes] = {}

    async def get_or_make(self, name: str) -> bytes:
        """Return the secret of this name, which is made once."""
        if self.unavailable:
            raise IdentityUnavailable("switched off")
        return self._values.setdefault(name, secrets.token_bytes(SECRET_BYTES))


def _place(record: KeyRecord) -> After:
    return record.created_at, record.id
