"""Claims and artifacts on a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from artifacts.store import ArtifactStore, MalformedRef, parse_ref
from provider_worker.adapters.postgres.artifacts import PostgresArtifacts
from provider_worker.adapters.postgres.claims import PostgresClaims
from provider_worker.adapters.postgres.database import Database
from provider_worker.errors import DatabaseUnavailable
from provider_worker.messages.orders import order_key
from testkit.worker.orders import an_execute_order


async def test_many_services_can_make_the_tables_at_once(postgres_url: str) -> None:
    """Without one failing."""
    databases = [Database(postgres_url) for _ in range(4)]
    await asyncio.gather(*(database.open() for database in databases for _ in range(3)))
    for database in databases:
        database.close()


async def test_of_many_claims_one_wins(database: Database) -> None:
    """A claim at the same time with another token gets nothing."""
    claims, orders = PostgresClaims(database), [an_execute_order() for _ in range(20)]
    got = await asyncio.gather(*(claims.claim(orders, f"token-{number}") for number in range(8)))
    won = [key for keys in got for key in keys]
    assert sorted(won) == sorted(order_key(order) for order in orders)


async def test_a_claim_asked_for_again_by_its_own_token_is_confirmed(database: Database) -> None:
    """So that an answer lost on the wire does not lose the order."""
    claims, order = PostgresClaims(database), an_execute_order()
    assert await claims.claim([order], "mine") == await claims.claim([order], "mine") == {order_key(order)}
    assert await claims.claim([order], "another's") == set()


async def test_a_claim_that_is_released_is_another_workers(database: Database) -> None:
    """Its own token releases it; another's releases nothing."""
    claims, orders = PostgresClaims(database), [an_execute_order() for _ in range(3)]
    await claims.claim(orders, "mine")
    await claims.release(orders[:2], "another's")
    assert await claims.claim(orders, "another's") == set()
    await claims.release(orders[:2], "mine")
    assert await claims.claim(orders, "another's") == {order_key(order) for order in orders[:2]}


async def test_claims_are_kept_by_tenant_work_and_attempt(database: Database) -> None:
    """Each of the three makes another call of it."""
    claims, order = PostgresClaims(database), an_execute_order()
    others = [order.model_copy(update=change) for change in ({"tenant": "other"}, {"work_id": "w"}, {"attempt": 2})]
    await claims.claim([order], "first")
    assert await claims.claim([order, *others], "second") == {order_key(other) for other in others}


async def test_only_old_claims_are_forgotten(database: Database) -> None:
    """After seven days; until then they stand."""
    claims, old, young = PostgresClaims(database), an_execute_order(), an_execute_order()
    await claims.claim([old, young], "first")
    await database.pool.execute(
        "update worker.claims set claimed_at = now() - interval '8 days' where work_id = $1", old.work_id
    )
    await claims.forget_old()
    assert await claims.claim([old, young], "second") == {order_key(old)}


async def test_a_database_that_does_not_answer_is_told_as_that() -> None:
    """For every error of the driver."""
    database = Database("postgresql://nobody:x@127.0.0.1:1/none")
    await database.connect()
    with pytest.raises(DatabaseUnavailable):
        await PostgresClaims(database).claim([an_execute_order()], "t")
    with pytest.raises(DatabaseUnavailable):
        await PostgresArtifacts(database).of("acme").read("artifact:sha256:" + "0" * 64)
    database.close()


async def test_the_same_bytes_are_one_artifact_in_each_tenant(database: Database) -> None:
    """With the media type on which all who brought them agree; each session that brought them is remembered."""
    store = ArtifactStore(database.pool)
    first = await store.put("acme", b"bytes", "text/plain", "s1")
    again = await asyncio.gather(*(store.put("acme", b"bytes", "image/png", session) for session in ("s1", "s2", None)))
    assert set(again) == {first}
    assert await store.get("acme", first.sha256) == (first, b"bytes")
    assert await store.get("globex", first.sha256) is None
    assert await store.find("globex", first.sha256) is None
    await store.put("globex", b"bytes", "image/png")
    assert await database.pool.fetchval("select count(*) from artifacts.blobs") == 2
    linked = await database.pool.fetch("select session_id from artifacts.sessions where tenant = 'acme' order by 1")
    assert [row["session_id"] for row in linked] == ["s1", "s2"]


async def test_writers_at_the_same_time_agree(database: Database) -> None:
    """On one row, and on the media type that the bytes are found to have where each said another."""
    store = ArtifactStore(database.pool)
    kept = await asyncio.gather(*(store.put("acme", b"same", f"text/x-{number}") for number in range(8)))
    assert len({artifact.sha256 for artifact in kept}) == 1
    found = await store.find("acme", kept[0].sha256)
    assert found is not None
    assert found.media_type == "text/plain"


async def test_empty_and_large_artifacts_come_back_as_they_were(database: Database) -> None:
    """From nothing to 25 MB."""
    store = ArtifactStore(database.pool)
    for body in (b"", bytes(range(256)) * 100_000):
        artifact = await store.put("acme", body, "application/octet-stream")
        assert artifact.size == len(body)
        assert await store.get("acme", parse_ref(artifact.ref)) == (artifact, body)


@pytest.mark.parametrize(
    "ref", ["", "artifact:sha256:", "artifact:sha256:" + "A" * 64, "x" * 64, "artifact:sha256:" + "0" * 64 + "\n"]
)
async def test_what_is_no_ref_names_nothing(database: Database, ref: str) -> None:
    """It is told apart from one that names nothing here."""
    with pytest.raises(MalformedRef):
        parse_ref(ref)
    assert await PostgresArtifacts(database).of("acme").find(ref) is None


async def test_making_the_tables_again_changes_nothing(database: Database) -> None:
    """A kept artifact stays."""
    artifact = await ArtifactStore(database.pool).put("acme", b"kept", "text/plain")
    await database.open()
    assert await ArtifactStore(database.pool).find("acme", artifact.sha256) == artifact
