"""An absence, and what follows from all of a tenant's: who stands in for whom now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

MOST_CHAIN = 10
"""Substitutes of substitutes that are followed."""

LONGEST = timedelta(days=366)


class Substitution(Protocol):
    """What chains are made of: who stands in for a person, from a time on and until before another."""

    @property
    def person(self) -> str:
        """Who is absent."""

    @property
    def substitute(self) -> str:
        """Who stands in."""

    @property
    def begins_at(self) -> datetime:
        """From when on."""

    @property
    def ends_at(self) -> datetime:
        """Until before when."""


class Link(NamedTuple):
    """An absence without what chains do not need: a tenth of the time to make, and there may be 10,000."""

    person: str
    substitute: str
    begins_at: datetime
    ends_at: datetime


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

    def overlaps(self, other: Substitution) -> bool:
        """Say whether there is a time of both."""
        return self.begins_at < other.ends_at and other.begins_at < self.ends_at


class StandIns:
    """Who stands in for whom by some absences. It is worked out once, until the next of them begins or ends."""

    def __init__(self, absences: Sequence[Substitution]) -> None:
        self._absences = absences
        self._found: dict[str, tuple[str, ...]] | None = None
        self._since: datetime | None = None
        self._until: datetime | None = None

    def at(self, at: datetime) -> Mapping[str, tuple[str, ...]]:
        """Return for whom each person stands in at a time."""
        if self._found is None or not self._holds(at):
            times = [time for one in self._absences for time in (one.begins_at, one.ends_at)]
            self._since = max((time for time in times if time <= at), default=None)
            self._until = min((time for time in times if time > at), default=None)
            self._found = stand_ins(self._absences, at)
        return self._found

    def _holds(self, at: datetime) -> bool:
        return (self._since is None or self._since <= at) and (self._until is None or at < self._until)


def stand_ins(absences: Iterable[Substitution], at: datetime) -> dict[str, tuple[str, ...]]:
    """Return for whom each person stands in at a time: chains are followed to the person who is there.

    A chain that leads in a circle, or on for too long, ends with no person.
    """
    substitutes = {one.person: one.substitute for one in absences if one.begins_at <= at < one.ends_at}
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
