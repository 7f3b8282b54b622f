"""Sessions in memory and on a real PostgreSQL: the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.postgres.connections import ConnectionPool, Connector
from contracts.identity import Principal, Role
from identity.errors import IdentityUnavailable, KeyExists
from identity.keys.record import KeyRecord, new_key, principal_of
from identity.keys.store import KeyStore
from identity.ports import KeyRepository, Sessions
from identity.resolver import Resolver
from identity.sessions.record import LIFETIME, NewSession, SessionRecord, new_session, session_record
from identity.sessions.store import SessionStore
from identity.testing.memory import MemoryKeys
from identity.testing.memory_sessions import MemorySessions

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ANN = Principal(
    tenant="acme",
    subject="ann",
    name='Ann "Größe"',
    roles=(Role.REVIEWER,),
    groups=("legal", "a,b"),
    scopes=("runs:read",),
    credential="oidc:https://issuer.example",
)


@dataclass
class Site:
    """Sessions, and the keys beside them."""

    sessions: Sessions
    keys: KeyRepository

    async def add(self, principal: Principal = ANN, **members: Any) -> tuple[SessionRecord, NewSession]:
        """Keep a new session."""
        made = new_session()
        record = replace(session_record(principal, uuid4(), NOW), **members)
        await self.sessions.add(record, made.sha256)
        return record, made

    async def key(self, **members: Any) -> KeyRecord:
        """Keep a new key."""
        key = new_key()
        known: dict[str, Any] = {
            "id": uuid4(),
            "tenant": "acme",
            "name": "n",
            "subject": "ann",
            "kind": "person",
            "roles": (Role.ADMIN,),
            "groups": (),
            "owner": None,
            "prefix": key.prefix,
            "created_at": NOW,
            "created_by": "root",
        }
        record = KeyRecord(**{**known, **members})
        await self.keys.add(record, key.sha256)
        return record


@pytest.fixture(params=["memory", "postgres"])
async def site(request: pytest.FixtureRequest, pool: ConnectionPool) -> Site:
    """Give either implementation, without sessions and keys."""
    if request.param == "memory":
        keys = MemoryKeys()
        return Site(MemorySessions(keys), keys)
    await pool.execute("TRUNCATE identity.api_keys, identity.sessions")
    return Site(SessionStore(pool), KeyStore(pool))


def every_question(sessions: Sessions) -> tuple[Awaitable[object], ...]:
    """Return one call of each method."""
    made = new_session()
    return (
        sessions.find(made.sha256, NOW),
        sessions.ended([uuid4()], [uuid4()], NOW),
        sessions.add(session_record(ANN, uuid4(), NOW), made.sha256),
        sessions.end(made.sha256, NOW),
    )


async def test_a_session_is_found_by_its_hash_as_it_was_kept(site: Site) -> None:
    """Every member of its principal too; its credential is the session's own."""
    record, made = await site.add()
    assert await site.sessions.find(made.sha256, NOW) == record
    assert record.principal == ANN.model_copy(update={"credential": f"session:{record.id}"})
    assert (record.key_id, record.expires_at) == (None, NOW + LIFETIME)
    assert await site.sessions.find("0" * 64, NOW) is None


async def test_a_session_is_kept_once(site: Site) -> None:
    """Neither its id nor its hash is another's, also once it has ended."""
    record, made = await site.add()
    await site.sessions.end(made.sha256, NOW + MINUTE)
    for again in ((record, "1" * 64), (session_record(ANN, uuid4(), NOW), made.sha256)):
        with pytest.raises(KeyExists):
            await site.sessions.add(*again)


async def test_the_last_use_is_kept_once_a_minute(site: Site) -> None:
    """Of a session that holds; a look within the minute writes nothing."""
    _, made = await site.add()

    async def used_at(after: timedelta) -> datetime:
        await site.sessions.find(made.sha256, NOW + after)
        found = await site.sessions.find(made.sha256, NOW + after)
        assert found is not None
        return found.used_at

    assert await used_at(MINUTE) == NOW
    assert await used_at(MINUTE * 2) == NOW + MINUTE * 2
    assert await used_at(LIFETIME) == NOW + MINUTE * 2


async def test_a_session_ends_for_ever(site: Site) -> None:
    """At its time, or when its browser signs out, whichever is first."""
    (left, left_text), (over, _), (open_one, _) = await site.add(), await site.add(expires_at=NOW), await site.add()
    await site.sessions.end(left_text.sha256, NOW)
    await site.sessions.end(left_text.sha256, NOW + HOUR)
    await site.sessions.end("0" * 64, NOW)
    found = await site.sessions.find(left_text.sha256, NOW)
    assert found is not None
    assert (found.expires_at, found.holds_at(NOW)) == (NOW, False)
    missing = uuid4()
    asked = {left.id, over.id, open_one.id, missing}
    assert await site.sessions.ended(asked, [], NOW) == {left.id, over.id, missing}


@pytest.mark.parametrize("way", ["revoked", "expired", "rotated"])
async def test_a_session_ends_with_the_key_that_it_came_from(site: Site, way: str) -> None:
    """Revoked, expired, or replaced and its overlap over. Others stay."""
    key, other = await site.key(expires_at=NOW + HOUR * 2), await site.key()
    (record, made), (stays, _) = await site.add(principal_of(key)), await site.add(principal_of(other))
    found = await site.sessions.find(made.sha256, NOW)
    assert found is not None
    assert (found.key_id, found.expires_at, found.holds_at(NOW)) == (key.id, NOW + HOUR * 2, True)
    at = NOW + HOUR * 2 if way == "expired" else NOW + HOUR
    if way == "revoked":
        await site.keys.revoke("acme", key.id, at)
    if way == "rotated":
        fresh = new_key()
        await site.keys.rotate("acme", key.id, replace(key, id=uuid4(), prefix=fresh.prefix), fresh.sha256, at)
    found = await site.sessions.find(made.sha256, at)
    assert found is not None
    assert not found.holds_at(at)
    assert await site.sessions.ended([record.id, stays.id], [], at) == {record.id}


async def test_one_question_tells_of_sessions_and_keys(site: Site) -> None:
    """Those of whatever tenant."""
    key, gone = await site.key(), await site.key()
    (record, _), (left, text) = await site.add(), await site.add()
    await site.keys.revoke("acme", gone.id, NOW)
    await site.sessions.end(text.sha256, NOW)
    assert await site.sessions.ended([record.id, left.id], [key.id, gone.id], NOW) == {left.id, gone.id}
    assert await site.sessions.ended([], [], NOW) == set()


async def test_a_sign_in_deletes_what_ended_long_ago(site: Site) -> None:
    """What ended within the hour stays, so that its id is not taken again."""
    _, old = await site.add(expires_at=NOW - HOUR - MINUTE)
    _, recent = await site.add(expires_at=NOW - MINUTE)
    await site.add()
    assert await site.sessions.find(old.sha256, NOW) is None
    assert await site.sessions.find(recent.sha256, NOW) is not None


async def test_nothing_of_a_text_is_kept(pool: ConnectionPool) -> None:
    """Its hash alone."""
    await pool.execute("TRUNCATE identity.sessions")
    made = new_session()
    await SessionStore(pool).add(session_record(ANN, uuid4(), NOW), made.sha256)
    row = str(await pool.fetchrow("SELECT * FROM identity.sessions"))
    assert made.sha256 in row
    assert made.text.removeprefix("session.") not in row


async def test_a_role_of_a_newer_version_gives_no_right(pool: ConnectionPool) -> None:
    """The others stay."""
    made = new_session()
    await SessionStore(pool).add(session_record(ANN, uuid4(), NOW), made.sha256)
    await pool.execute(
        """UPDATE identity.sessions SET principal = jsonb_set(principal, '{roles}', '["wizard", "reviewer"]') WHERE sha256 = $1""",
        made.sha256,
    )
    found = await SessionStore(pool).find(made.sha256, NOW)
    assert found is not None
    assert found.principal.roles == (Role.REVIEWER,)


async def test_many_sign_ins_at_once_all_get_their_session(pool: ConnectionPool) -> None:
    """Each deletes what no other is deleting."""
    await pool.execute("TRUNCATE identity.sessions")
    store = SessionStore(pool)
    for _ in range(5):
        await store.add(replace(session_record(ANN, uuid4(), NOW), expires_at=NOW - HOUR * 2), new_session().sha256)
    await asyncio.gather(*(store.add(session_record(ANN, uuid4(), NOW), new_session().sha256) for _ in range(30)))
    assert await pool.fetchval("SELECT count(*) FROM identity.sessions") == 30


async def test_a_database_that_does_not_answer_is_unavailable(site: Site) -> None:
    """For every question alike; a session has not ended then."""
    if isinstance(site.sessions, MemorySessions):
        site.sessions.unavailable = True
        sessions: Sessions = site.sessions
    else:
        nowhere = ConnectionPool(Connector("postgresql://127.0.0.1:1/none", "tests", 1.0), 1, 1.0)
        await nowhere.open()
        sessions = SessionStore(nowhere)
    for question in every_question(sessions):
        with pytest.raises(IdentityUnavailable):
            await question


async def test_the_resolver_asks_once_for_all_that_is_held(site: Site) -> None:
    """Sessions and keys together: what ended is told, and the rest stays."""
    key = await site.key()
    (_, made), (_, left) = await site.add(), await site.add()
    resolver = Resolver(site.keys, None, lambda: NOW, sessions=site.sessions)
    held = [await resolver.resolve_session(text) for text in (made.text, left.text)]
    held.append(replace(held[0], principal=principal_of(key)))
    await resolver.end_session(left.text)
    assert await resolver.ended(held) == [held[1]]
    await site.keys.revoke("acme", key.id, NOW)
    assert await resolver.ended(held) == held[1:]


def test_ids_of_credentials_are_told_apart() -> None:
    """A session's is no key's."""
    session = session_record(ANN, UUID(int=5), NOW)
    assert session_record(session.principal, UUID(int=6), NOW).key_id is None
