"""An absence, and what follows from all of a tenant's: who stands in for whom now, and whether a new one would lead in a circle. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from identity.errors import AbsenceOverlaps, SubstitutionCircle

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

    A chain that leads in a circle, or on for too long, ends with nobody.
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


def check_new(new: Absence, others: Iterable[Absence]) -> None:
    """Return if a new absence can stand beside the others of its tenant. Raises AbsenceOverlaps, SubstitutionCircle."""
    known = [other for other in others if other.id != new.id and other.overlaps(new)]
    for other in known:
        if other.person == new.person:
            raise AbsenceOverlaps(other.begins_at, other.ends_at)
    if new.substitute == new.person:
        raise SubstitutionCircle((new.person, new.person))
    # A substitution begins or ends at one of these times, and nothing changes between two of them.
    for at in {new.begins_at, *(other.begins_at for other in known if new.holds_at(other.begins_at))}:
        substitutes = {other.person: other.substitute for other in known if other.holds_at(at)}
        chain = tuple(_chain(new.person, {**substitutes, new.person: new.substitute}))
        before = tuple(_before(new.person, substitutes))
        if chain[-1] == new.person or len(chain) - 1 + len(before) > MOST_CHAIN:
            raise SubstitutionCircle(chain)


def _chain(person: str, substitutes: Mapping[str, str]) -> Iterator[str]:
    yield person
    at = person
    for _ in range(MOST_CHAIN + 1):
        if at not in substitutes:
            return
        at = substitutes[at]
        yield at
        if at == person:
            return


def _before(person: str, substitutes: Mapping[str, str]) -> list[str]:
    """Return the longest chain that leads to a person."""
    sources = [absent for absent, substitute in substitutes.items() if substitute == person]
    rest = {absent: substitute for absent, substitute in substitutes.items() if substitute != person}
    return max(([*_before(absent, rest), absent] for absent in sources), key=len, default=[])
