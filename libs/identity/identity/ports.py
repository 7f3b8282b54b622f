"""What identity needs from outside: kept keys, sessions and secrets. The stores have them in PostgreSQL, `testing` in memory."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol
from uuid import UUID

from contracts.identity import Principal
from identity.absences.record import Absence, Link
from identity.keys.record import KeyRecord
from identity.sessions.record import SessionRecord

After = tuple[datetime, UUID]
"""Where a page begins: behind the key with this `created_at` and `id`."""

Begin = tuple[datetime, UUID]
"""Where a page begins: behind the absence with this `begins_at` and `id`."""

SECRET_BYTES = 32


class Keys(Protocol):
    """Keys as the resolver asks for them, before a tenant is known. Raises IdentityUnavailable."""

    async def find(self, sha256: str) -> KeyRecord | None:
        """Return the key with this hash, in whatever state, or None."""

    async def ended(self, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these keys are revoked or expired, or are not there at all."""


class KeyRepository(Keys, Protocol):
    """Keys as an administrator of one tenant manages them. Raises IdentityUnavailable."""

    async def add(self, record: KeyRecord, sha256: str) -> None:
        """Keep a new key. Raises KeyExists."""

    async def get(self, tenant: str, key_id: UUID) -> KeyRecord | None:
        """Return a key of this tenant, in whatever state, or None."""

    async def page(self, tenant: str, limit: int, after: After | None = None) -> list[KeyRecord]:
        """Return this tenant's keys, oldest first, `limit` at most, those behind `after`."""

    async def revoke(self, tenant: str, key_id: UUID, at: datetime) -> bool:
        """Revoke a key for ever; one that is revoked keeps its time. Return whether the tenant has such a key."""

    async def rotate(
        self, tenant: str, key_id: UUID, new: KeyRecord, sha256: str, overlap_ends_at: datetime
    ) -> KeyRecord | None:
        """Keep `new` in place of a key, and return that former key as it is now: it expires when the overlap ends, or sooner if it would have.

        Return None, and keep nothing, if the tenant has no such key, or it is revoked, replaced, or expired when `new` was created.
        Of several rotations at once one takes effect. `new` belongs to the tenant of the former key. Raises KeyExists.
        """

    async def has_any(self) -> bool:
        """Return whether there is any key, of any tenant, in whatever state."""


class Sessions(Protocol):
    """Sessions of browsers, asked for before a tenant is known. Raises IdentityUnavailable."""

    async def find(self, sha256: str, now: datetime) -> SessionRecord | None:
        """Return the session with this hash, in whatever state, or None. That it is used now is kept, once a minute at most."""

    async def ended(self, sessions: Collection[UUID], keys: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these sessions and API keys do not hold, by one query. A session ends with the key that it came from."""

    async def add(self, record: SessionRecord, sha256: str) -> None:
        """Keep a new session, and delete some that ended long ago. Raises KeyExists."""

    async def end(self, sha256: str, now: datetime) -> None:
        """End a session for ever. Its id is not taken again within an hour."""


class Absences(Protocol):
    """Absences of persons, each of one tenant. Raises IdentityUnavailable."""

    async def page(self, tenant: str, at: datetime, limit: int, after: Begin | None = None) -> list[Absence]:
        """Return the tenant's absences that have not ended, by their begin, `limit` at most, those behind `after`."""

    async def between(self, tenant: str, begin: datetime, end: datetime) -> list[Link]:
        """Return the tenant's absences that hold at a time from one on until before another, in no order.

        Those of persons who have left are not there: their credentials are known, and none of them may decide at `begin`.
        """

    async def add(self, new: Absence) -> None:
        """Keep a new absence, unless one of its id is kept. Of several at once that exclude each other one is kept.

        Raises TooManyAbsences, AbsenceOverlaps, SubstitutionCircle.
        """

    async def get(self, tenant: str, absence_id: UUID) -> Absence | None:
        """Return an absence of this tenant, or None."""

    async def delete(self, tenant: str, absence_id: UUID) -> bool:
        """End an absence, or take back one to come; return whether the tenant had it."""


class People(Protocol):
    """Persons as their tokens and sign-ins show them. Raises IdentityUnavailable."""

    async def note(self, principal: Principal, at: datetime) -> None:
        """Keep the roles and groups with which a person was seen. Nothing is written where they are kept already."""


class Secrets(Protocol):
    """Secrets of the whole installation, which all its processes share. Raises IdentityUnavailable."""

    async def get_or_make(self, name: str) -> bytes:
        """Return the secret of this name: SECRET_BYTES random bytes, made by the first process that asks, and the same for all."""
