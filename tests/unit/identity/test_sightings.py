"""Persons as they are seen by tokens: kept when the token says something else, whichever process saw it."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.identity import Role
from identity.lookups import CACHE_SECONDS
from identity.people.sightings import Sightings
from identity.testing.memory_people import MemoryPeople
from testkit.runs.people import principal

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ANN = principal("ann", Role.REVIEWER, groups=("legal",))


async def test_a_person_is_kept_once_until_it_changes() -> None:
    """A request of a known person costs no query."""
    people = MemoryPeople()
    sightings = Sightings(people, lambda: NOW)
    moved = ANN.changed({"groups": ("sales",)})
    for seen in (ANN, ANN, moved, moved, ANN.changed({"tenant": "elsewhere"}), ANN):
        await sightings.note(seen)
    assert people.seen == [ANN, moved, ANN.changed({"tenant": "elsewhere"}), ANN]


async def test_a_process_believes_what_it_saw_for_seconds_only() -> None:
    """What another process noted meanwhile is noted anew, and what is kept already is not written again."""
    people, time = MemoryPeople(), [0.0]
    one, other = (Sightings(people, lambda: NOW, lambda: time[0]) for _ in range(2))
    moved = ANN.changed({"groups": ("sales",)})
    await one.note(ANN)
    await other.note(moved)
    await one.note(ANN)
    assert people.seen == [ANN, moved]
    time[0] = CACHE_SECONDS
    await one.note(ANN)
    await one.note(ANN)
    time[0] = 2 * CACHE_SECONDS
    await one.note(ANN)
    assert people.seen == [ANN, moved, ANN]


async def test_what_could_not_be_kept_is_tried_again() -> None:
    """And hinders nobody meanwhile."""
    people = MemoryPeople()
    sightings = Sightings(people, lambda: NOW)
    people.unavailable = True
    await sightings.note(ANN)
    people.unavailable = False
    await sightings.note(ANN)
    assert people.seen == [ANN]
