"""A database of the version before numbered migrations is taken over with its rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from provider_worker.adapters.postgres.storage import PostgresStorage
from provider_worker.budgets.model import Account, Limit, Scope
from provider_worker.messages.orders import order_key
from provider_worker.rate_limits.reservations import Rule
from testkit.worker.orders import an_execute_order

RUN = UUID(int=7)

FORMER_SCHEMA = """
create schema work;
create table work.claims (
    tenant text not null, work_id text not null, attempt integer not null, claimed_by text not null,
    claimed_at timestamptz not null default now(), primary key (tenant, work_id, attempt)
);
create index claims_by_age on work.claims using brin (claimed_at);
create table work.budgets (
    tenant text not null, scope text not null, name text not null, period text not null, spent numeric not null default 0,
    used_at timestamptz not null default now(), primary key (tenant, scope, name, period)
);
create table work.holds (
    tenant text not null, run_id uuid not null, user_id text not null, period text not null, amount numeric not null,
    lapses_at timestamptz not null, primary key (tenant, run_id)
);
create table work.charges (
    tenant text not null, run_id uuid not null, work_id text not null, attempt integer not null, amount numeric not null,
    settled boolean not null default false, charged_at timestamptz not null default now(),
    primary key (tenant, run_id, work_id, attempt)
);
create table work.limits (
    name text primary key, arrival timestamptz not null default '-infinity',
    closed_until timestamptz not null default '-infinity'
);
create table work.tokens (name text not null, second bigint not null, tokens bigint not null, primary key (name, second));
create table work.places (
    name text not null, holder text not null, places integer not null, waits boolean not null,
    asked_at timestamptz not null, granted_at timestamptz not null default '-infinity', primary key (name, holder)
);
create function work.free_places(
    named text, asking text, held integer, wanted integer, most integer, at_time timestamptz
) returns integer language plpgsql as $free$
declare
    mine work.places;
begin
    return greatest(0, most - held);
end $free$;
create function work.book(
    named text, asking text, held integer, wanted bigint[], gap double precision, burst integer, most_tokens bigint,
    most_places integer, turned timestamptz,
    out begins_in double precision[], out seconds bigint[], out again_in double precision
) language plpgsql as $book$
declare
    account work.limits;
begin
    again_in := 0.25;
end $book$;
"""
"""The tables as version 0.1 made them, with the signatures of its functions."""

WHERE_CHARGED = """
alter table work.charges
    add column scopes text[] not null default '{}', add column names text[] not null default '{}',
    add column periods text[] not null default '{}'
"""
"""Columns that later builds of version 0.1 had, and earlier ones had not."""

ORDER = an_execute_order()


@pytest_asyncio.fixture(params=[False, True], ids=["early 0.1", "late 0.1"])
async def former_url(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[str]:
    """Give a database of version 0.1: a claimed call, a budget that spent 3 and holds 2, a charge of 3, an account without places."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(FORMER_SCHEMA)
    if request.param:
        await connection.execute(WHERE_CHARGED)
    await connection.execute("insert into work.claims values ($1, $2, $3, 'the former worker')", *order_key(ORDER))
    await connection.execute("insert into work.budgets values ('acme', 'tenant', 'acme', '2026-03', 3)")
    held = "insert into work.holds values ('acme', $1, 'ann', '2026-03', 2, now() + interval '1 hour')"
    await connection.execute(held, UUID(int=8))
    charged = "insert into work.charges (tenant, run_id, work_id, attempt, amount) values ('acme', $1, 'w', 1, 3)"
    await connection.execute(charged, RUN)
    if request.param:
        where = "update work.charges set scopes = '{tenant}', names = '{acme}', periods = '{2026-03}'"
        await connection.execute(where)
    await connection.execute("insert into work.places values ('openai', 'a former worker', 3, false, now())")
    await connection.close()
    yield postgres_url


async def test_a_former_database_is_taken_over_with_its_rows(former_url: str, request: pytest.FixtureRequest) -> None:
    """A claimed call stays claimed, money stays counted and held, places stay held; the former schema is gone."""
    storage = PostgresStorage(former_url)
    await storage.open()
    assert await storage.claims.claim([ORDER], "another worker") == set()
    rule = Rule("openai", places=3)
    assert (await storage.reservations.reserve(rule, "another worker", 0, [0])).begins_in == []
    short = await storage.budgets.hold(_account(), Decimal(6), 60)
    assert short is not None
    assert short.left == Decimal(5)
    await storage.budgets.settle("acme", RUN, ("w", 1), Decimal(1))
    short = await storage.budgets.hold(_account(), Decimal(10), 60)
    assert short is not None
    # A charge that does not name its budgets stays counted as estimated.
    assert short.left == (Decimal(7) if "late" in request.node.name else Decimal(5))
    connection = await asyncpg.connect(former_url)
    assert await connection.fetchval("select count(*) from pg_namespace where nspname = 'work'") == 0
    await connection.close()
    storage.close()


async def test_many_workers_take_a_former_database_over_at_once(former_url: str) -> None:
    """One of them does, the others find it done, and a further start changes nothing."""
    storages = [PostgresStorage(former_url) for _ in range(4)]
    await asyncio.gather(*(storage.open() for storage in storages))
    await storages[0].open()
    for storage in storages:
        assert await storage.claims.claim([ORDER], "another worker") == set()
        storage.close()


async def test_a_new_database_gets_the_same_tables(postgres_url: str, former_url: str) -> None:
    """Columns, types and defaults of both are equal."""
    del former_url
    taken_over = await _tables(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("drop schema worker cascade")
    await connection.close()
    assert await _tables(postgres_url) == taken_over


async def _tables(url: str) -> list[tuple[str, ...]]:
    storage = PostgresStorage(url)
    await storage.open()
    storage.close()
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "select table_name, column_name, data_type, is_nullable, coalesce(column_default, '') from information_schema.columns"
        " where table_schema = 'worker' order by 1, 2"
    )
    await connection.close()
    return [tuple(row) for row in rows]


def _account() -> Account:
    return Account("acme", UUID(int=9), "ann", (Limit(Scope.TENANT, "acme", "2026-03", Decimal(10)),))
