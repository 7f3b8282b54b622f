"""Sessions in memory, for tests and for programs that embed a service. They end with the process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from identity.errors import IdentityUnavailable, KeyExists
from identity.sessions.record import SessionRecord
from identity.testing.memory import MemoryKeys

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


class MemorySessions:
    """Implements `ports.Sessions` as the store does, beside the keys from which sessions come. `unavailable` makes the database unreachable."""

    def __init__(self, keys: MemoryKeys) -> None:
        self.unavailable = False
        self.records: dict[str, SessionRecord] = {}
        self._keys = keys

    async def find(self, sha256: str, now: datetime) -> SessionRecord | None:
        """Return the session with this hash, or None."""
        self._check()
        found = self.records.get(sha256)
        if found is None:
            return None
        if found.used_at < now - _MINUTE and found.expires_at > now:
            self.records[sha256] = replace(found, used_at=now)
        return self._as_read(found)

    async def ended(self, sessions: Collection[UUID], keys: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which of these sessions and keys do not hold."""
        self._check()
        open_ones = {one.id for one in map(self._as_read, self.records.values()) if one.holds_at(now)}
        return {one for one in sessions if one not in open_ones} | await self._keys.ended(keys, now)

    async def add(self, record: SessionRecord, sha256: str) -> None:
        """Keep a new session. Raises KeyExists."""
        self._check()
        if sha256 in self.records or record.id in {one.id for one in self.records.values()}:
            raise KeyExists(KeyExists.__doc__)
        kept = {name: one for name, one in self.records.items() if one.expires_at >= record.created_at - _HOUR}
        self.records = {**kept, sha256: record}

    async def end(self, sha256: str, now: datetime) -> None:
        """End a session for ever."""
        self._check()
        found = self.records.get(sha256)
        if found is not None and found.expires_at > now:
            self.records[sha256] = replace(found, expires_at=now)

    def _as_read(self, record: SessionRecord) -> SessionRecord:
        key = None if record.key_id is None else self._keys.record(record.key_id)
        if key is None:
            return record
        ends = record.expires_at if key.expires_at is None else min(record.expires_at, key.expires_at)
        return replace(record, expires_at=ends, is_revoked=key.revoked_at is not None)

    def _check(self) -> None:
        if self.unavailable:
            raise IdentityUnavailable("switched off")
