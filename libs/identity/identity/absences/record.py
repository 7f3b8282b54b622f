"""An absence, and what follows from all of a tenant's: who stands in for whom now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

MOST_CHAIN = 10
"""Substitutes of substitutes that are followed."""

LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A person is absent from a time on and until before another, and a substitute stands in. Times have a zone."""

    id: UUID
    tenant: str
    person: str
    substitute: str
    begins_at: datetime
    ends_at: datetime
    reason: str | None
    created_at: datetime
    created_by: str

    def holds_at(self, at: datetime) -> bool:
        """Say whether the person is absent at a time."""
        return self.begins_at <= at < self.ends_at

    def overlaps(self, other: Absence) -> bool:
        """Say whether there is a time of both."""
        return self.begins_at < other.ends_at and other.begins_at < self.ends_at


def stand_ins(absences: Iterable[Absence], at: datetime) -> dict[str, tuple[str, ...]]:
    """Return for whom each person stands in at a time: chains are followed to the person who is there.

    A chain that leads in a circle, or on for too long, ends with no person.
    """
    substitutes = {absence.person: absence.substitute for absence in absences if absence.holds_at(at)}
    found: dict[str, list[str]] = {}
    for person in sorted(substitutes):
        end = _end_of(person, substitutes)
        if end is not None:
            found.setdefault(end, []).append(person)
    return {end: tuple(persons) for end, persons in found.items()}


def _end_of(person: str, substitutes: Mapping[str, str]) -> str | None:
    for _ in range(MOST_CHAIN):
        person = substitutes[person]
        if person not in substitutes:
            return person
    return None
