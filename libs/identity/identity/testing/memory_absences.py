"""Absences in memory, for tests and for programs that embed a service. They end with the process."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from identity.absences.record import Absence, check_new
from identity.errors import IdentityUnavailable


class MemoryAbsences:
    """Implements `ports.Absences` as the store does. `unavailable` makes the database unreachable."""

    def __init__(self) -> None:
        self.unavailable = False
        self._absences: dict[UUID, Absence] = {}

    async def to_come(self, tenant: str, at: datetime) -> list[Absence]:
        """Return the tenant's absences that have not ended."""
        self._check()
        found = [one for one in self._absences.values() if one.tenant == tenant and one.ends_at > at]
        return sorted(found, key=lambda one: (one.begins_at, one.id))

    async def add(self, new: Absence) -> None:
        """Keep a new absence. Raises AbsenceOverlaps, SubstitutionCircle."""
        check_new(new, await self.to_come(new.tenant, new.begins_at))
        self._absences[new.id] = new

    async def get(self, tenant: str, absence_id: UUID) -> Absence | None:
        """Return an absence of this tenant, or None."""
        self._check()
        found = self._absences.get(absence_id)
        return found if found is not None and found.tenant == tenant else None

    async def delete(self, tenant: str, absence_id: UUID) -> bool:
        """End an absence, or take back one to come; return whether the tenant had it."""
        return await self.get(tenant, absence_id) is not None and self._absences.pop(absence_id) is not None

    def _check(self) -> None:
        if self.unavailable:
            raise IdentityUnavailable("switched off")
