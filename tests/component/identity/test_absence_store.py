"""Absences on PostgreSQL and in memory, by the same tests."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from chassis.postgres.connections import ConnectionPool
from contracts.identity import Principal, Role
from identity.absences.chains import MOST_OF_PERSON
from identity.absences.record import Absence
from identity.absences.store import AbsenceStore
from identity.absences.substitutes import Substitutes
from identity.errors import AbsenceOverlaps, IdentityUnavailable, SubstitutionCircle, TooManyAbsences
from identity.keys.store import KeyStore
from identity.people.store import PeopleStore
from identity.ports import Absences, KeyRepository, People
from identity.testing.keys import made_key
from identity.testing.memory import MemoryKeys
from identity.testing.memory_absences import MemoryAbsences
from identity.testing.memory_people import MemoryPeople
from testkit.runs.people import principal

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def absent(person: str, substitute: str, tenant: str = "default") -> Absence:
    """Return an absence of a day, from now on."""
    return Absence(
        id=uuid4(),
        tenant=tenant,
        person=person,
        substitute=substitute,
        begins_at=NOW,
        ends_at=NOW + timedelta(days=1),
        reason="a\u2014b",
        created_at=NOW,
        created_by="adam",
    )


class Stores(NamedTuple):
    """Absences, and what tells who has left."""

    absences: Absences
    keys: KeyRepository
    people: People


@pytest_asyncio.fixture(params=["postgresql", "memory"])
async def stores(request: pytest.FixtureRequest, pool: ConnectionPool) -> Stores:
    """Give each store, empty."""
    if request.param == "memory":
        keys, people = MemoryKeys(), MemoryPeople()
        return Stores(MemoryAbsences(keys, people), keys, people)
    await pool.execute("TRUNCATE identity.absences, identity.api_keys, identity.people CASCADE")
    return Stores(AbsenceStore(pool), KeyStore(pool), PeopleStore(pool))


@pytest.fixture
def absences(stores: Stores) -> Absences:
    """Give each store's absences."""
    return stores.absences


async def key_of(stores: Stores, subject: str, *roles: Role, **members: Any) -> UUID:
    """Keep a key of a person; return its id."""
    _, record = made_key(subject, *roles, at=NOW, **members)
    await stores.keys.add(record, sha256(record.id.bytes).hexdigest())
    return record.id


async def test_an_absence_of_a_person_who_has_left_is_not_followed(stores: Stores) -> None:
    """By its keys and what was seen of its tokens; one without any may come yet."""
    first = await key_of(stores, "keys", Role.REVIEWER)
    second = await key_of(stores, "keys", Role.ADMIN, expires_at=NOW + timedelta(hours=1))
    await key_of(stores, "asks", Role.REQUESTER)
    await key_of(stores, "narrowed", Role.ADMIN, scopes=("runs:read",))
    await key_of(stores, "narrowed to it", Role.ADMIN, scopes=("decisions:write",))
    await key_of(stores, "bot", Role.REVIEWER, kind="service", owner="owner")
    await key_of(stores, "tokens", Role.REQUESTER)
    await stores.people.note(principal("tokens", Role.REVIEWER), NOW)
    await stores.people.note(principal("without roles"), NOW)
    await key_of(stores, "stranger", Role.REQUESTER, tenant="elsewhere")
    persons = ["keys", "asks", "narrowed", "narrowed to it", "owner", "tokens", "without roles", "stranger"]
    for person in persons:
        await stores.absences.add(absent(person, "bo"))

    async def followed(hours: float = 0.0) -> set[str]:
        begin = NOW + timedelta(hours=hours)
        return {one.person for one in await stores.absences.between("default", begin, begin + timedelta(seconds=2))}

    others = {"narrowed to it", "owner", "tokens", "stranger"}
    assert await followed() == {"keys", *others}
    await stores.keys.revoke("default", first, NOW)
    assert await followed() == {"keys", *others}
    assert await followed(1) == others
    await stores.keys.revoke("default", second, NOW)
    assert await followed() == others


async def test_what_is_kept_is_found_by_its_tenant_alone(absences: Absences) -> None:
    """Until it has ended."""
    kept = absent("ann", "bo")
    await absences.add(kept)
    assert await absences.page("default", NOW, 10) == [kept]
    assert await absences.page("default", NOW + timedelta(days=1), 10) == []
    assert await absences.page("elsewhere", NOW, 10) == []
    assert await absences.get("default", kept.id) == kept
    assert await absences.get("elsewhere", kept.id) is None
    assert not await absences.delete("elsewhere", kept.id)
    assert await absences.delete("default", kept.id)
    assert not await absences.delete("default", kept.id)


async def test_pages_are_by_begin_and_lose_none(absences: Absences) -> None:
    """Also of those that begin at one time."""
    asked = [replace(absent(f"p{n}", "bo"), begins_at=NOW - timedelta(days=n // 2)) for n in range(5)]
    for one in asked:
        await absences.add(one)
    kept = sorted(asked, key=lambda one: (one.begins_at, one.id))
    first = await absences.page("default", NOW, 3)
    assert first == kept[:3]
    assert await absences.page("default", NOW, 3, (first[-1].begins_at, first[-1].id)) == kept[3:]


async def test_of_a_moment_those_are_read_that_hold_or_begin_in_it(absences: Absences) -> None:
    """Neither those that ended, nor those that begin later, nor another tenant's."""
    moment, end = timedelta(seconds=2), NOW + timedelta(days=1)
    spans = {"ended": (NOW - moment, NOW), "holds": (NOW - moment, end), "soon": (NOW + moment / 2, end)}
    for person, (begins, ends) in {**spans, "later": (NOW + moment, end)}.items():
        await absences.add(replace(absent(person, "bo"), begins_at=begins, ends_at=ends, created_at=NOW - moment))
    await absences.add(absent("ann", "bo", "elsewhere"))
    assert {one.person for one in await absences.between("default", NOW, NOW + moment)} == {"holds", "soon"}


async def test_a_person_has_so_many_absences_to_come(absences: Absences) -> None:
    """Those that ended count no more."""
    day = timedelta(days=1)
    asked = [
        replace(absent("ann", "bo"), begins_at=NOW + n * day, ends_at=NOW + (n + 1) * day)
        for n in range(MOST_OF_PERSON + 1)
    ]
    for one in asked[:-1]:
        await absences.add(one)
    with pytest.raises(TooManyAbsences):
        await absences.add(asked[-1])
    await absences.add(absent("bo", "cy"))
    await absences.add(replace(asked[-1], created_at=NOW + day))


async def test_what_lies_on_no_chain_of_the_two_persons_is_not_in_the_way(absences: Absences) -> None:
    """A chain is found from both of its ends, and through absences that overlap."""
    day = timedelta(days=1)
    for one in (absent("a", "b"), absent("b", "c"), absent("x", "y"), absent("d", "e"), absent("e", "f")):
        await absences.add(one)
    with pytest.raises(SubstitutionCircle):
        await absences.add(absent("c", "a"))
    await absences.add(replace(absent("c", "a"), begins_at=NOW + day, ends_at=NOW + 2 * day))
    await absences.add(absent("c", "d"))
    with pytest.raises(SubstitutionCircle):
        await absences.add(absent("f", "b"))


async def test_a_second_substitute_is_told_before_anything_else(absences: Absences) -> None:
    """Though it would close a circle too: a person's own absences are looked at before all others are."""
    await absences.add(absent("bo", "ann"))
    kept = absent("ann", "cy")
    await absences.add(kept)
    with pytest.raises(AbsenceOverlaps, match=re.escape(f"from {kept.begins_at.isoformat()} until")):
        await absences.add(absent("ann", "bo"))


async def test_tenants_close_no_circle_together(absences: Absences) -> None:
    """The same names mean other people."""
    await absences.add(absent("ann", "bo"))
    await absences.add(absent("bo", "ann", "elsewhere"))
    with pytest.raises(SubstitutionCircle):
        await absences.add(absent("bo", "ann"))
    with pytest.raises(AbsenceOverlaps):
        await absences.add(absent("ann", "cy"))


async def test_of_absences_at_once_that_would_close_a_circle_one_is_kept(absences: Absences) -> None:
    """Each would be well without the other."""
    for _ in range(20):
        asked = [absent("ann", "bo"), absent("bo", "cy"), absent("cy", "ann")]
        told = await asyncio.gather(*map(absences.add, asked), return_exceptions=True)
        assert [type(one) for one in told if one is not None] == [SubstitutionCircle]
        for one in asked:
            await absences.delete("default", one.id)


async def test_a_principal_stands_in_within_two_seconds_and_no_longer_than_the_absence(absences: Absences) -> None:
    """Read once a tenant and moment; who may not decide stands in for none."""
    time, now = [0.0], [NOW]
    substitutes = Substitutes(absences, lambda: now[0], lambda: time[0])
    bo, rita = principal("bo", Role.REVIEWER), principal("bo", Role.REQUESTER)

    async def completed(principal: Principal) -> Principal:
        (found,) = await substitutes.complete([principal])
        return found

    assert await completed(bo) is bo
    await absences.add(absent("ann", "bo"))
    time[0] = 2.5
    assert (await completed(bo)).on_behalf_of == ("ann",)
    assert await completed(rita) is rita
    assert await completed(replace_tenant := bo.changed({"tenant": "elsewhere"})) is replace_tenant
    stale = bo.changed({"on_behalf_of": ("cy",)})
    assert (await completed(stale)).on_behalf_of == ("ann",)
    now[0] = NOW + timedelta(days=1)
    assert (await completed(stale)).on_behalf_of == ()


async def test_an_outage_is_told() -> None:
    """No principal is taken for one that stands in for none because it could not be asked."""
    away = MemoryAbsences()
    away.unavailable = True
    with pytest.raises(IdentityUnavailable):
        await Substitutes(away, lambda: NOW).complete([principal("bo", Role.REVIEWER)])


def test_an_absence_is_a_value() -> None:
    """Two of the same members are equal."""
    one = absent("ann", "bo")
    assert one == replace(one)
