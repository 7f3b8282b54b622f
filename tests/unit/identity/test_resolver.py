"""From a header to a principal: what is asked of the database, what is remembered, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.identity import Role
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.keys.record import KeyRecord, NewKey, new_key
from identity.lookups import CACHE_SECONDS, MOST_UNKNOWN
from identity.resolved import Resolved
from identity.resolver import Resolver
from identity.testing.memory import MemoryKeys, MemorySecrets
from identity.tokens.internal import InternalTokens
from identity.tokens.verifier import JwtRules, TokenVerifier

from .issuer import AUDIENCE, ISSUER, NOW, SECONDS, SECRET, shared


class SlowKeys:
    """Keys in memory that count what is asked, and answer when they are let."""

    def __init__(self) -> None:
        self.kept = MemoryKeys()
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def find(self, sha256: str) -> KeyRecord | None:
        """Find as the memory does."""
        self.asked += 1
        found = await self.kept.find(sha256)
        await self.answers.wait()
        return found

    async def ended(self, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Answer as the memory does."""
        self.asked += 1
        return await self.kept.ended(ids, now)


class Site:
    """A resolver with all kinds of credentials, and a clock that goes when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.keys = SlowKeys()
        verifier = TokenVerifier(JwtRules(SECRET, None, ISSUER, AUDIENCE))
        self.internal = InternalTokens(MemorySecrets(), self.now)
        self.resolver = Resolver(self.keys, verifier, self.now, lambda: self.seconds, internal=self.internal)

    def now(self) -> datetime:
        """Return the time of day."""
        return NOW + timedelta(seconds=self.seconds)

    async def add(self, **members: object) -> tuple[NewKey, KeyRecord]:
        """Keep a new key."""
        key = new_key()
        record = a_record(key, **members)
        await self.keys.kept.add(record, key.sha256)
        return key, record

    async def resolve(self, key: NewKey) -> Resolved:
        """Come with a key."""
        return await self.resolver.resolve(f"Bearer {key.text}")

    async def code(self, authorization: str | None) -> str:
        """Return why a header is refused."""
        with pytest.raises(Unauthenticated) as refused:
            await self.resolver.resolve(authorization)
        return refused.value.code


def a_record(key: NewKey, **members: object) -> KeyRecord:
    """Return what is kept of a key."""
    fixed: dict[str, object] = {"id": uuid4(), "tenant": "acme", "name": "n", "subject": "ann", "kind": "person"}
    rights = {"roles": (Role.ADMIN,), "groups": (), "owner": None}
    made = {"prefix": key.prefix, "created_at": NOW, "created_by": "root"}
    return KeyRecord(**(fixed | rights | made | members))  # type: ignore[arg-type]


@pytest.fixture
def site() -> Site:
    """Give a resolver without keys."""
    return Site()


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", " Bearer "])
async def test_a_bearer_is_resolved_however_the_scheme_is_written(site: Site, scheme: str) -> None:
    """A key or a token; each says when it ends."""
    key, record = await site.add(expires_at=NOW + timedelta(days=1))
    found = await site.resolver.resolve(scheme + key.text)
    assert (found.principal.credential, found.ends_at) == (f"key:{record.id}", record.expires_at)
    assert (await site.resolver.resolve(scheme + shared())).principal.credential == "jwt:hs256"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "credential_missing"),
        ("", "credential_missing"),
        (" \t", "credential_missing"),
        ("Bearer", "credential_malformed"),
        ("Basic YTpi", "credential_malformed"),
        ("Bearer a b", "credential_malformed"),
        ("Bearer a, Bearer b", "credential_malformed"),
        ("Bearer a,b", "credential_malformed"),
        ("Bearer \ud800.a.b", "credential_malformed"),
        ("Bearer " + "a" * 10_000, "credential_malformed"),
        ("Bearer sayso_mistyped", "credential_malformed"),
        ("Bearer some.old.thing", "credential_malformed"),
        (new_key().text, "credential_malformed"),
    ],
)
async def test_anything_else_is_refused_without_a_query(site: Site, authorization: str | None, code: str) -> None:
    """One scheme, one credential."""
    assert (await site.code(authorization), site.keys.asked) == (code, 0)


async def test_an_internal_token_is_told_by_its_prefix(site: Site) -> None:
    """It asks for no key, and without its prefix it is a token of another issuer."""
    token = await site.internal.issue("notifier", "acme")
    found = (await site.resolver.resolve(f"Bearer {token}")).principal
    assert (found.credential, found.tenant, found.roles) == ("internal:notifier", "acme", (Role.AUDITOR,))
    assert await site.code(f"Bearer {token.removeprefix('internal.')}") == "token_invalid"
    for other in (shared(), new_key().text, ""):
        assert await site.code(f"Bearer internal.{other}") == "token_invalid"
    assert site.keys.asked == 0


async def test_an_internal_token_ends_by_its_time(site: Site) -> None:
    """For calls and for what is held open, which asks no database."""
    token = await site.internal.issue("notifier", "acme")
    held = [await site.resolver.resolve_credential(token)]
    site.seconds = 89.0
    assert await site.resolver.ended(held) == []
    site.seconds = 90.0
    assert await site.resolver.ended(held) == held
    assert (await site.code(f"Bearer {token}"), site.keys.asked) == ("credential_expired", 0)


async def test_what_is_not_set_up_is_not_accepted(site: Site) -> None:
    """No keys, no tokens, no internal tokens."""
    resolver = Resolver(None, None, lambda: NOW)
    internal = await site.internal.issue("notifier", "acme")
    refused_as = ((new_key().text, "credential_unknown"), (shared(), "token_invalid"), (internal, "token_invalid"))
    for credential, code in refused_as:
        with pytest.raises(Unauthenticated) as refused:
            await resolver.resolve_credential(credential)
        assert refused.value.code == code


async def test_a_key_is_asked_for_once_in_two_seconds(site: Site) -> None:
    """An unknown one too, so that a client that repeats a wrong key costs nothing."""
    key, _ = await site.add()
    unknown = f"Bearer {new_key().text}"
    for site.seconds in (0.0, CACHE_SECONDS - 0.1, CACHE_SECONDS):
        await site.resolve(key)
        assert await site.code(unknown) == "credential_unknown"
    assert site.keys.asked == 4


async def test_a_revoked_key_is_refused_within_two_seconds(site: Site) -> None:
    """Those for which it is remembered; open sockets hear of it at once."""
    key, record = await site.add()
    held = await site.resolve(key)
    await site.keys.kept.revoke("acme", record.id, NOW)
    site.seconds = CACHE_SECONDS - 0.1
    assert await site.resolve(key) == held
    assert await site.resolver.ended([held]) == [held]
    site.seconds = CACHE_SECONDS
    assert await site.code(f"Bearer {key.text}") == "credential_revoked"


async def test_a_key_ends_at_its_time_though_it_is_remembered(site: Site) -> None:
    """The clock is looked at for each call."""
    key, _ = await site.add(expires_at=NOW + timedelta(seconds=1))
    assert await site.resolve(key)
    site.seconds = 1.0
    assert (await site.code(f"Bearer {key.text}"), site.keys.asked) == ("credential_expired", 1)


async def test_calls_with_one_key_share_one_query(site: Site) -> None:
    """One of them that leaves takes the answer from no other."""
    key, _ = await site.add()
    site.keys.answers.clear()
    calls = [asyncio.create_task(site.resolve(key)) for _ in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.wait(calls[:1])
    site.keys.answers.set()
    assert len({found.principal.subject for found in await asyncio.gather(*calls[1:])}) == 1
    assert (site.keys.asked, calls[0].cancelled()) == (1, True)


async def test_the_age_of_an_answer_counts_from_when_it_was_asked(site: Site) -> None:
    """A database that takes its time makes no revocation late."""
    key, record = await site.add()
    site.keys.answers.clear()
    first = asyncio.create_task(site.resolve(key))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await site.keys.kept.revoke("acme", record.id, NOW)
    site.seconds = CACHE_SECONDS
    site.keys.answers.set()
    assert await first
    assert await site.code(f"Bearer {key.text}") == "credential_revoked"


async def test_a_failure_is_not_remembered(site: Site) -> None:
    """The next call asks again; a key that is remembered needs no database."""
    key, _ = await site.add()
    site.keys.kept.unavailable = True
    for _ in range(2):
        with pytest.raises(IdentityUnavailable):
            await site.resolve(key)
    site.keys.kept.unavailable = False
    assert await site.resolve(key)
    site.keys.kept.unavailable = True
    assert await site.resolve(key)
    assert site.keys.asked == 3


async def test_a_flood_of_wrong_keys_displaces_no_right_one(site: Site) -> None:
    """What is remembered of them is bounded."""
    key, _ = await site.add()
    await site.resolve(key)
    for _ in range(MOST_UNKNOWN + 10):
        await site.code(f"Bearer {new_key().text}")
    asked = site.keys.asked
    await site.resolve(key)
    assert (site.keys.asked, len(site.resolver._known_keys.unknown)) == (asked, MOST_UNKNOWN)


async def test_open_connections_hear_of_the_end_of_their_credentials(site: Site) -> None:
    """Of keys by one query, of tokens by their time, each token by its own though they have one name."""
    keys = [await site.add(subject=name) for name in ("ann", "ben")]
    held = [await site.resolve(key) for key, _ in keys]
    held += [await site.resolver.resolve_credential(shared(exp=SECONDS + end)) for end in (5, 500)]
    await site.keys.kept.revoke("acme", keys[1][1].id, NOW)
    asked, site.seconds = site.keys.asked, 35.0
    assert await site.resolver.ended(held) == [held[1], held[2]]
    assert site.keys.asked == asked + 1
    assert await site.resolver.ended(held[2:]) == [held[2]]
    assert site.keys.asked == asked + 1


async def test_without_a_database_the_times_of_credentials_count_all_the_same(site: Site) -> None:
    """Of keys too; whether one was revoked is told once the database answers."""
    keys = [await site.add(subject="ann", expires_at=NOW + timedelta(seconds=ends)) for ends in (5, 500)]
    held = [await site.resolve(key) for key, _ in keys]
    await site.keys.kept.revoke("acme", keys[1][1].id, NOW)
    site.keys.kept.unavailable, site.seconds = True, 35.0
    assert await site.resolver.ended(held) == [held[0]]
    site.keys.kept.unavailable = False
    assert await site.resolver.ended(held) == held
