"""Secrets in memory and on a real PostgreSQL: one of each name for the whole installation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio

from chassis.postgres.connections import ConnectionPool, Connector
from chassis.postgres.migrations import migrate
from identity.errors import IdentityUnavailable
from identity.ports import Secrets
from identity.secrets.store import SecretStore
from identity.testing.memory import MemorySecrets
from identity.tokens.internal import InternalTokens

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture
async def store(pool: ConnectionPool) -> SecretStore:
    """Give the store without secrets."""
    await pool.execute("TRUNCATE identity.secrets")
    return SecretStore(pool)


@pytest.fixture(params=["memory", "postgres"])
def secrets(request: pytest.FixtureRequest) -> Secrets:
    """Give either implementation, without secrets."""
    found: Secrets = MemorySecrets() if request.param == "memory" else request.getfixturevalue("store")
    return found


def nowhere() -> ConnectionPool:
    """Return a pool on a database that does not answer, which is not open."""
    return ConnectionPool(Connector("postgresql://127.0.0.1:1/none", "tests", 1.0), 1, 1.0)


async def test_a_secret_is_made_once(secrets: Secrets) -> None:
    """32 bytes, the same for ever; each name has its own."""
    first = await secrets.get_or_make("one")
    assert (type(first), len(first)) == (bytes, 32)
    assert await secrets.get_or_make("one") == first
    assert await secrets.get_or_make("other") != first


async def test_of_fifty_callers_at_once_all_get_the_same(secrets: Secrets) -> None:
    """One of them makes it."""
    for name in ("a", "b", "c"):
        assert len(set(await asyncio.gather(*(secrets.get_or_make(name) for _ in range(50))))) == 1


async def test_processes_that_start_at_once_get_the_same(store: SecretStore, postgres_url: str) -> None:
    """Each with a pool of its own; the database that they share has one row."""
    del store
    await asyncio.to_thread(migrate, postgres_url, {"identity": "identity.migrations"})
    pools = [ConnectionPool(Connector(postgres_url, "tests", 5.0), 2, 20.0) for _ in range(5)]
    for pool in pools:
        await pool.open()
    found = await asyncio.gather(*(SecretStore(pool).get_or_make("one") for pool in pools for _ in range(10)))
    assert await pools[0].fetchval("SELECT array_agg(value) FROM identity.secrets") == [found[0]]
    assert set(found) == {found[0]}
    for pool in pools:
        pool.close()


async def test_a_secret_that_another_process_is_about_to_keep_is_waited_for(
    store: SecretStore, pool: ConnectionPool
) -> None:
    """It is the one that both use; and where the other fails, this one keeps its own."""
    insert = "INSERT INTO identity.secrets VALUES ($1, $2, now())"
    async with pool.acquire() as other:
        for name, is_kept in (("kept", True), ("dropped", False)):
            transaction = other.transaction()
            await transaction.start()
            await other.execute(insert, name, b"x" * 32)
            asking = asyncio.create_task(store.get_or_make(name))
            await _waits_for_a_lock(pool)
            await (transaction.commit() if is_kept else transaction.rollback())
            assert (await asking == b"x" * 32) is is_kept


async def test_a_token_of_one_process_holds_at_another(store: SecretStore, pool: ConnectionPool) -> None:
    """They share nothing but the database."""
    token = await InternalTokens(store, lambda: NOW).issue("notifier", "acme")
    found = await InternalTokens(SecretStore(pool), lambda: NOW).verify(token, NOW)
    assert found.principal.subject == "notifier"


async def test_a_database_that_does_not_answer_is_unavailable(secrets: Secrets) -> None:
    """No process goes on with a secret of its own."""
    if isinstance(secrets, MemorySecrets):
        secrets.unavailable = True
    else:
        pool = nowhere()
        await pool.open()
        secrets = SecretStore(pool)
    with pytest.raises(IdentityUnavailable):
        await secrets.get_or_make("one")


async def test_a_database_without_the_table_is_unavailable(postgres_url: str) -> None:
    """It is about to be made."""
    pool = ConnectionPool(Connector(postgres_url, "tests", 5.0), 1, 5.0)
    await pool.open()
    with pytest.raises(IdentityUnavailable):
        await SecretStore(pool).get_or_make("one")
    pool.close()


async def test_a_database_that_is_known_to_be_unavailable_is_not_asked() -> None:
    """The pool is not open, and would fail otherwise."""

    def check() -> None:
        raise IdentityUnavailable("known")

    with pytest.raises(IdentityUnavailable, match="known"):
        await SecretStore(nowhere(), check).get_or_make("one")


async def test_a_secret_of_another_length_cannot_be_kept(store: SecretStore, pool: ConnectionPool) -> None:
    """An empty one would open every door."""
    del store
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO identity.secrets VALUES ('one', '', now())")


async def _waits_for_a_lock(pool: ConnectionPool) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await pool.fetchval(query):  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0.01)
