"""Keys in memory and on a real PostgreSQL: the same promises, and on the latter many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from chassis.postgres.connections import ConnectionPool, Connector
from chassis.postgres.migrations import migrate
from contracts.identity import Role
from identity.errors import IdentityUnavailable, KeyExists
from identity.keys.record import KeyRecord, new_key
from identity.keys.store import KeyStore
from identity.ports import KeyRepository
from identity.testing.memory import MemoryKeys
from testkit.postgres.unreliable import execute

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
ACME, OTHER = "acme", "other"


@pytest_asyncio.fixture
async def store(pool: ConnectionPool) -> KeyStore:
    """Give the store without keys."""
    await pool.execute("TRUNCATE identity.api_keys CASCADE")
    return KeyStore(pool)


@pytest.fixture(params=["memory", "postgres"])
def keys(request: pytest.FixtureRequest) -> KeyRepository:
    """Give either repository, without keys."""
    found: KeyRepository = MemoryKeys() if request.param == "memory" else request.getfixturevalue("store")
    return found


def a_record(tenant: str = ACME, **members: Any) -> tuple[KeyRecord, str]:
    """Return a new key and its hash."""
    key = new_key()
    record = KeyRecord(
        id=uuid4(),
        tenant=tenant,
        name="nightly build",
        subject="builder",
        kind="service",
        roles=(Role.REQUESTER, Role.AUDITOR),
        groups=("ops", 'Größe, {a} "b"'),
        scopes=("runs:start", "of a newer version"),
        owner="ann",
        prefix=key.prefix,
        created_at=NOW,
        created_by="ann",
    )
    return replace(record, **members), key.sha256


async def added(keys: KeyRepository, tenant: str = ACME, **members: Any) -> tuple[KeyRecord, str]:
    """Keep a new key."""
    record, sha256 = a_record(tenant, **members)
    await keys.add(record, sha256)
    return record, sha256


def every_question(keys: KeyRepository) -> tuple[Awaitable[object], ...]:
    """Return one call of each method."""
    record, sha256 = a_record()
    return (
        keys.find(sha256),
        keys.ended([record.id], NOW),
        keys.has_any(),
        keys.get(ACME, record.id),
        keys.page(ACME, 1),
        keys.add(record, sha256),
        keys.revoke(ACME, record.id, NOW),
        keys.rotate(ACME, record.id, *a_record(), NOW),
    )


async def test_a_key_is_found_by_its_hash_as_it_was_kept(keys: KeyRepository) -> None:
    """Every member of it, to the microsecond, those that may be missing too."""
    assert not await keys.has_any()
    bare: dict[str, Any] = {
        "expires_at": NOW + DAY,
        "roles": (),
        "groups": (),
        "scopes": (),
        "owner": None,
        "kind": "person",
    }
    for members in ({}, bare):
        record, sha256 = await added(keys, **members)
        assert await keys.find(sha256) == await keys.get(ACME, record.id) == record
    assert await keys.has_any()
    assert await keys.find("0" * 64) is None
    assert await keys.get(ACME, uuid4()) is None


async def test_a_key_is_kept_once(keys: KeyRepository) -> None:
    """Neither its id nor its hash can be another's, in whatever tenant."""
    record, sha256 = await added(keys)
    for again in ((record, "1" * 64), (a_record(OTHER)[0], sha256)):
        with pytest.raises(KeyExists):
            await keys.add(*again)
    assert await keys.find("1" * 64) is None
    assert await keys.find(sha256) == record


async def test_tenants_never_see_each_others_keys(keys: KeyRepository) -> None:
    """Neither in a list, nor by id; and they change none."""
    (mine, mine_sha256), (theirs, theirs_sha256) = await added(keys), await added(keys, OTHER)
    for tenant, own, foreign in ((ACME, mine, theirs), (OTHER, theirs, mine)):
        assert await keys.page(tenant, 10) == [own]
        assert await keys.page(tenant, 10, (NOW - DAY, UUID(int=0))) == [own]
        assert await keys.get(tenant, foreign.id) is None
        assert await keys.revoke(tenant, foreign.id, NOW) is False
        assert await keys.rotate(tenant, foreign.id, *a_record(tenant), NOW) is None
    assert [await keys.find(mine_sha256), await keys.find(theirs_sha256)] == [mine, theirs]


async def test_pages_go_through_every_key_once(keys: KeyRepository) -> None:
    """Oldest first, those of one moment by their id; keys that are made or revoked meanwhile move no other."""
    made = [(await added(keys, created_at=NOW + DAY * (number // 3)))[0] for number in range(10)]
    await added(keys, OTHER)
    seen: list[KeyRecord] = []
    while page := await keys.page(ACME, 4, (seen[-1].created_at, seen[-1].id) if seen else None):
        seen += page
        await keys.revoke(ACME, page[0].id, NOW)
        if len(seen) == 4:
            made.append((await added(keys, created_at=NOW + DAY * 9))[0])
    assert [one.id for one in seen] == [one.id for one in sorted(made, key=lambda one: (one.created_at, one.id))]


async def test_a_key_is_revoked_for_ever(keys: KeyRepository) -> None:
    """The first time stays."""
    record, sha256 = await added(keys)
    assert [await keys.revoke(ACME, record.id, NOW + DAY * days) for days in (1, 2)] == [True, True]
    assert await keys.find(sha256) == replace(record, revoked_at=NOW + DAY)
    assert await keys.revoke(ACME, uuid4(), NOW) is False


async def test_one_question_tells_of_all_keys_that_ended(keys: KeyRepository) -> None:
    """Revoked, expired at this very moment, or not there; of whatever tenant."""
    good, revoked, foreign = [(await added(keys, tenant))[0].id for tenant in (ACME, ACME, OTHER)]
    expired, later = [(await added(keys, expires_at=NOW + DAY * days))[0].id for days in (0, 1)]
    missing = uuid4()
    await keys.revoke(ACME, revoked, NOW + DAY)
    asked = {good, revoked, foreign, expired, later, missing}
    assert await keys.ended(asked, NOW) == {revoked, expired, missing}
    assert await keys.ended([good], NOW) == await keys.ended([], NOW) == set()


@pytest.mark.parametrize(("expires", "ends"), [(None, 3), (5, 3), (2, 2)])
async def test_a_key_that_is_rotated_works_until_the_overlap_ends(
    keys: KeyRepository, expires: int | None, ends: int
) -> None:
    """And never longer than it would have; the new one is of the same tenant."""
    old, old_sha256 = await added(keys, expires_at=None if expires is None else NOW + DAY * expires)
    new, new_sha256 = a_record(OTHER, created_at=NOW + DAY, expires_at=NOW + DAY * 9, owner="ben")
    former = await keys.rotate(ACME, old.id, new, new_sha256, NOW + DAY * 3)
    assert former == replace(old, expires_at=NOW + DAY * ends, replaced_by=new.id)
    assert await keys.find(old_sha256) == former
    assert await keys.find(new_sha256) == replace(new, tenant=ACME)


@pytest.mark.parametrize(
    "members", [{"revoked_at": NOW - DAY}, {"expires_at": NOW}, {"expires_at": NOW - DAY}], ids=repr
)
async def test_a_key_that_ended_is_not_rotated(keys: KeyRepository, members: dict[str, Any]) -> None:
    """Nothing is kept then."""
    old, sha256 = await added(keys, **members)
    new, new_sha256 = a_record()
    assert await keys.rotate(ACME, old.id, new, new_sha256, NOW + DAY) is None
    assert (await keys.find(sha256), await keys.find(new_sha256)) == (old, None)


async def test_a_rotation_to_a_key_that_exists_changes_nothing(keys: KeyRepository) -> None:
    """The old key works on."""
    old, _ = await added(keys)
    other, other_sha256 = await added(keys)
    for new in ((other, "2" * 64), (a_record()[0], other_sha256)):
        with pytest.raises(KeyExists):
            await keys.rotate(ACME, old.id, *new, NOW)
    assert await keys.get(ACME, old.id) == old


async def test_of_twenty_rotations_at_once_one_wins(keys: KeyRepository) -> None:
    """The others keep nothing; a key that was rotated is rotated by its successor alone."""
    old, _ = await added(keys)
    offers = [a_record() for _ in range(20)]
    answers = await asyncio.gather(*(keys.rotate(ACME, old.id, *offer, NOW + DAY) for offer in offers))
    (former,) = [answer for answer in answers if answer is not None]
    (won,) = [offer for offer, answer in zip(offers, answers, strict=True) if answer is not None]
    assert former.replaced_by == won[0].id
    assert {one.id for one in await keys.page(ACME, 100)} == {old.id, won[0].id}
    assert await keys.rotate(ACME, old.id, *a_record(), NOW + DAY) is None
    assert await keys.rotate(ACME, won[0].id, *a_record(), NOW + DAY) is not None


async def test_a_revocation_and_a_rotation_at_once_leave_the_key_revoked(keys: KeyRepository) -> None:
    """Whichever is first."""
    for _ in range(10):
        old, sha256 = await added(keys)
        await asyncio.gather(keys.revoke(ACME, old.id, NOW), keys.rotate(ACME, old.id, *a_record(), NOW + DAY))
        found = await keys.find(sha256)
        assert found is not None
        assert found.revoked_at == NOW


async def test_a_role_of_a_newer_version_gives_no_right(store: KeyStore, pool: ConnectionPool) -> None:
    """The key works on with the roles that are known."""
    record, sha256 = await added(store)
    await pool.execute("UPDATE identity.api_keys SET roles = '{owner,auditor}' WHERE id = $1", record.id)
    assert await store.find(sha256) == replace(record, roles=(Role.AUDITOR,))


async def test_the_table_holds_no_key(store: KeyStore, pool: ConnectionPool) -> None:
    """Its hash, and the 12 characters that lists show."""
    key = new_key()
    await store.add(replace(a_record()[0], prefix=key.prefix), key.sha256)
    row = str(await pool.fetchrow("SELECT * FROM identity.api_keys"))
    assert key.sha256 in row
    assert key.text[12:] not in row


async def test_a_database_that_does_not_answer_is_unavailable(keys: KeyRepository) -> None:
    """For every question alike; a key is not unknown then."""
    if isinstance(keys, MemoryKeys):
        keys.unavailable = True
    else:
        nowhere = ConnectionPool(Connector("postgresql://127.0.0.1:1/none", "tests", 1.0), 1, 1.0)
        await nowhere.open()
        keys = KeyStore(nowhere)
    for question in every_question(keys):
        with pytest.raises(IdentityUnavailable):
            await question


async def test_a_database_that_is_known_to_be_unavailable_is_not_asked() -> None:
    """For every question alike: the pool is not open, and would fail otherwise."""

    def check() -> None:
        raise IdentityUnavailable("known")

    store = KeyStore(ConnectionPool(Connector("postgresql://127.0.0.1:1/none", "tests", 1.0), 1, 1.0), check)
    for question in every_question(store):
        with pytest.raises(IdentityUnavailable, match="known"):
            await question


async def test_the_check_is_made_before_each_query(pool: ConnectionPool) -> None:
    """One that passes changes nothing."""
    checks: list[None] = []
    store = KeyStore(pool, lambda: checks.append(None))
    for number, question in enumerate(every_question(store), 1):
        await question
        assert len(checks) == number


async def test_a_database_without_the_table_is_unavailable(postgres_url: str) -> None:
    """It is about to be made."""
    pool = ConnectionPool(Connector(postgres_url, "tests", 5.0), 1, 5.0)
    await pool.open()
    with pytest.raises(IdentityUnavailable):
        await KeyStore(pool).has_any()
    pool.close()


async def test_services_can_make_the_table_at_once(postgres_url: str) -> None:
    """Without one failing; a second start finds it made."""
    await asyncio.gather(
        *(asyncio.to_thread(migrate, postgres_url, {"identity": "identity.migrations"}) for _ in range(3))
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await execute(
            postgres_url,
            "INSERT INTO identity.api_keys SELECT $1, 't', 'no hash', 'n', 's', 'person', '{}', '{}', NULL, 'p', now(), 'c'",
            uuid4(),
        )
