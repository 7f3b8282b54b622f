"""Connections on asyncpg: one that is refused as such is not used again, and what concerns a statement alone costs no connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chassis.postgres.connections import ConnectionPool, Connector, DedicatedConnection, within
from local_stack.wait import until
from testkit.postgres.failover import failover_proxy

STATEMENT_SECONDS = 1.0


@asynccontextmanager
async def pool_on(url: str, size: int = 2) -> AsyncIterator[ConnectionPool]:
    """Give a pool with a short patience."""
    pool = ConnectionPool(Connector(url, "test", 1.0), size, STATEMENT_SECONDS)
    await pool.open()
    try:
        yield pool
    finally:
        pool.close()
        await asyncio.sleep(0)  # the sockets are closed by the loop's next turn


async def session_of(pool: ConnectionPool) -> int:
    """Return the number of the session that the pool lends next."""
    return int(await pool.fetchval("SELECT pg_backend_pid()"))


async def refuse(pool: ConnectionPool, sqlstate: str) -> None:
    """Let a statement be refused with a code."""
    await pool.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$")


async def test_a_query_that_is_planned_for_its_values_is_planned_each_time(postgres_url: str) -> None:
    """However often it comes; one that is kept prepared gets a plan for any values after some calls."""
    query = "SELECT count(*) FROM pg_class WHERE relname = $1"
    told = "SELECT generic_plans > 0 AS is_general FROM pg_prepared_statements WHERE statement = $1"
    async with pool_on(postgres_url, 1) as pool:
        for _ in range(10):
            assert [tuple(row) for row in await pool.fetch_planned(query, "pg_class")] == [(1,)]
        assert await pool.fetch(told, query) == []
        for _ in range(10):
            await pool.fetch(query, "pg_class")
        assert [tuple(row) for row in await pool.fetch(told, query)] == [(True,)]
    async with pool_on(f"{postgres_url}?pgbouncer=true", 1) as pool:
        assert [tuple(row) for row in await pool.fetch_planned(query, "pg_class")] == [(1,)]
        assert [tuple(row) for row in await pool.fetch(told, query)] == []


@pytest.mark.parametrize("sqlstate", ["25006", "57P01", "57P02", "57P03", "08000", "08003", "08006", "08P01", "XX000"])
async def test_a_refusal_that_is_the_connections_retires_it(sqlstate: str, postgres_url: str) -> None:
    """The next statement comes on another session, and so does that of a connection that lay beside it."""
    async with pool_on(postgres_url) as pool:
        async with pool.acquire() as one, pool.acquire() as other:
            before = {await one.fetchval("SELECT pg_backend_pid()"), await other.fetchval("SELECT pg_backend_pid()")}
        with pytest.raises(asyncpg.PostgresError):
            await refuse(pool, sqlstate)
        async with pool.acquire() as one, pool.acquire() as other:
            after = {await one.fetchval("SELECT pg_backend_pid()"), await other.fetchval("SELECT pg_backend_pid()")}
        assert not before & after


@pytest.mark.parametrize(
    "sqlstate", ["40001", "40P01", "55P03", "53100", "53200", "53300", "57014", "22003", "23505", "42501", "P0001"]
)
async def test_a_refusal_that_is_the_statements_keeps_the_connection(sqlstate: str, postgres_url: str) -> None:
    """A conflict, a lock, a full disk, a cancelled or wrong statement: the session is as good as before."""
    async with pool_on(postgres_url, 1) as pool:
        before = await session_of(pool)
        with pytest.raises(asyncpg.PostgresError):
            await refuse(pool, sqlstate)
        assert await session_of(pool) == before


async def test_a_session_that_was_demoted_is_not_used_again(postgres_url: str) -> None:
    """It answers reads for ever and refuses each write; the pool and the connection of a loop come back by themselves."""
    write = "CREATE TABLE IF NOT EXISTS public.written (at timestamptz)"
    async with pool_on(postgres_url) as pool:
        async with pool.acquire() as one, pool.acquire() as other:
            for lent in (one, other):
                await lent.execute("SET default_transaction_read_only = on")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await pool.execute(write)
        for _ in range(2):
            await pool.execute(write)
    dedicated = DedicatedConnection(Connector(postgres_url, "test", 1.0), STATEMENT_SECONDS)
    async with dedicated.use() as connection:
        await connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await dedicated.check()
    await dedicated.check()
    dedicated.close()


async def test_a_server_that_takes_no_writes_is_never_connected_to(postgres_url: str) -> None:
    """While the proxy is demoted no session is kept, so that none is read-only once it is promoted."""
    async with failover_proxy(postgres_url) as proxy, pool_on(proxy.url) as pool:
        await pool.execute("CREATE TABLE public.kept (at timestamptz)")
        await proxy.demote()
        for _ in range(3):
            with pytest.raises((asyncpg.ReadOnlySQLTransactionError, asyncpg.ConnectionDoesNotExistError)):
                await pool.fetchval("SELECT 1")
        proxy.promote()
        await pool.execute("INSERT INTO public.kept VALUES (now())")


@pytest.mark.parametrize("first", ["closed", "demoted", "silent"])
async def test_of_several_hosts_the_one_that_takes_writes_is_used(first: str, postgres_url: str) -> None:
    """The first may refuse, take no writes, or be silent; the caller needs one more try at most."""
    async with failover_proxy(postgres_url) as old:
        match first:
            case "demoted":
                await old.demote()
            case "silent":
                old.swallow()
            case _:
                await old.close()
                await old.open()
                await old.close()
        places = [url.rsplit("@", 1)[1].split("/")[0] for url in (old.url, postgres_url)]
        url = postgres_url.replace(places[1], ",".join(places))
        async with pool_on(url) as pool:
            assert await pool.fetchval("SHOW transaction_read_only") == "off"
        if first == "closed":
            await old.open()


async def answers_again(pool: ConnectionPool) -> Callable[[], Awaitable[bool]]:
    """Return a question: whether the pool gets an answer."""

    async def ask() -> bool:
        try:
            return bool(await pool.fetchval("SELECT 1") == 1)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return False

    return ask


async def test_a_connection_without_an_end_is_given_up(postgres_url: str) -> None:
    """A network that swallows everything keeps no caller for longer than a statement's time, and holds no place in the pool."""
    async with failover_proxy(postgres_url) as proxy, pool_on(proxy.url, 1) as pool:
        await pool.fetchval("SELECT 1")
        proxy.swallow()
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                await pool.fetchval("SELECT 1")
            with pytest.raises(OSError, match="no answer within 1 s"):
                await pool.fetchval("SELECT 1")
        proxy.flow()
        await until(await answers_again(pool), 10, "the pool answers")


async def test_a_statement_that_takes_too_long_ends_at_the_server(postgres_url: str) -> None:
    """It is cancelled there: the next caller of a pool of one is answered on the same session."""
    async with pool_on(postgres_url, 1) as pool:
        before = await session_of(pool)
        with pytest.raises(TimeoutError):
            await pool.execute("SELECT pg_sleep(60)")
        assert await session_of(pool) == before


async def test_a_table_that_is_not_there_is_named(postgres_url: str) -> None:
    """A database without our tables is not taken for ours."""
    dedicated = DedicatedConnection(Connector(postgres_url, "test", 1.0), STATEMENT_SECONDS)
    with pytest.raises(asyncpg.UndefinedTableError, match=r"no table views\.hitl_runs"):
        await dedicated.check("pg_catalog.pg_class", "views.hitl_runs")
    dedicated.close()


async def test_statements_pass_a_pooler_in_transaction_mode(postgres_url: str) -> None:
    """Asked for by `pgbouncer=true`: each statement stands in a transaction, and none is kept prepared."""
    async with pool_on(f"{postgres_url}?pgbouncer=true", 1) as pool:
        async with pool.acquire() as connection:
            assert connection.is_in_transaction()
            await connection.fetchval("SELECT $1::int + 1", 1)
            named = await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")
        assert named == 0
        await pool.execute("CREATE TABLE public.pooled (n int)")
        assert await pool.fetchval("SELECT count(*) FROM public.pooled") == 0


async def test_time_in_which_our_own_loop_stands_still_is_not_the_servers() -> None:
    """An answer that is there counts, however late this process looks."""

    async def answered() -> str:
        await asyncio.sleep(0.1)
        _stand_still()
        return "here"

    assert await within(0.2, answered()) == "here"
    with pytest.raises(TimeoutError):
        await within(0.1, asyncio.Event().wait())


def _stand_still() -> None:
    end = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < end:
        pass
