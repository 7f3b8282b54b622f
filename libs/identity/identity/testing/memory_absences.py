"""Absences in memory, for tests and for programs that embed a service. They end with the process."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from contracts.identity import ROLES, Right
from identity.absences.chains import check_bounds, check_new
from identity.absences.record import Absence, Link
from identity.errors import IdentityUnavailable
from identity.keys.record import principal_of
from identity.ports import Begin
from identity.testing.memory import MemoryKeys
from identity.testing.memory_people import MemoryPeople


class MemoryAbsences:
    """Implements `ports.Absences` as the store does, beside the keys and the persons that tell who has left.

    `unavailable` makes the database unreachable.
    """

    def __init__(self, keys: MemoryKeys | None = None, people: MemoryPeople | None = None) -> None:
        self.unavailable = False
        self._keys, self._people = keys or MemoryKeys(), people or MemoryPeople()
        self._absences: dict[UUID, Absence] = {}

    async def page(self, tenant: str, at: datetime, limit: int, after: Begin | None = None) -> list[Absence]:
        """Return the tenant's absences that have not ended, by their begin, `limit` at most, those behind `after`."""
        found = sorted(((one.begins_at, one.id), one) for one in self._to_come(tenant, at))
        return [one for place, one in found if after is None or place > after][:limit]

    async def between(self, tenant: str, begin: datetime, end: datetime) -> list[Link]:
        """Return the tenant's absences that hold at a time from one on until before another, without those of persons who have left."""
        held = [one for one in self._to_come(tenant, begin) if one.begins_at < end]
        return [
            Link(one.person, one.substitute, one.begins_at, one.ends_at)
            for one in held
            if not self._has_left(tenant, one.person, begin)
        ]

    async def add(self, new: Absence) -> None:
        """Keep a new absence, unless one of its id is kept. Raises TooManyAbsences, AbsenceOverlaps, SubstitutionCircle."""
        to_come = self._to_come(new.tenant, new.created_at)
        check_bounds(sum(one.person == new.person for one in to_come), len(to_come))
        check_new(new, [one for one in to_come if one.id != new.id])
        self._absences.setdefault(new.id, new)

    async def get(self, tenant: str, absence_id: UUID) -> Absence | None:
        """Return an absence of this tenant, or None."""
        self._check()
        found = self._absences.get(absence_id)
        return found if found is not None and found.tenant == tenant else None

    async def delete(self, tenant: str, absence_id: UUID) -> bool:
        """End an absence, or take back one to come; return whether the tenant had it."""
        return await self.get(tenant, absence_id) is not None and self._absences.pop(absence_id) is not None

    def _has_left(self, tenant: str, person: str, at: datetime) -> bool:
        keys, seen = self._keys.of_person(tenant, person), self._people.roles_of(tenant, person)
        decides = any(one.state_at(at) == "active" and principal_of(one).may(Right.DECIDE) for one in keys)
        decides = decides or any(role in ROLES[Right.DECIDE] for role in seen or ())
        return not decides and (bool(keys) or seen is not None)

    def _to_come(self, tenant: str, at: datetime) -> list[Absence]:
        self._check()
        return [one for one in self._absences.values() if one.tenant == tenant and one.ends_at > at]

    def _check(self) -> None:
        if self.unavailable:
            raise IdentityUnavailable("switched off")
