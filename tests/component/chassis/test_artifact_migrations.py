"""The artifacts' schema: made by migrations, and taken over from version 0.1, which had no numbers."""

from __future__ import annotations

import psycopg
import pytest

from chassis.postgres.migrations import migrate

VERSION_0_1 = """
create schema if not exists artifacts;

create table if not exists artifacts.blobs (
    tenant      text        not null,
    sha256      text        not null check (sha256 ~ '^[0-9a-f]{64}$'),
    size        bigint      not null,
    media_type  text        not null,
    body        bytea       not null,
    created_at  timestamptz not null default now(),
    primary key (tenant, sha256)
);

alter table artifacts.blobs alter column body set storage external;

create table if not exists artifacts.sessions (
    tenant      text        not null,
    session_id  text        not null,
    sha256      text        not null,
    linked_at   timestamptz not null default now(),
    primary key (tenant, session_id, sha256),
    foreign key (tenant, sha256) references artifacts.blobs on delete cascade
);
"""
"""The statements that version 0.1 ran at every start."""

ROW = "INSERT INTO artifacts.blobs (tenant, sha256, size, media_type, body) VALUES ('default', repeat('a', 64), 3, 'text/plain', 'abc')"

SHAPE = """
SELECT a.attrelid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'artifacts'::regnamespace AND c.relname IN ('blobs', 'sessions') AND c.relkind = 'r' AND a.attnum > 0
UNION ALL
SELECT conrelid::regclass::text, pg_get_constraintdef(oid), contype::text, convalidated, ''
FROM pg_constraint WHERE connamespace = 'artifacts'::regnamespace AND conrelid::regclass::text IN ('artifacts.blobs', 'artifacts.sessions')
ORDER BY 1, 2"""
"""Columns and constraints of the tables that version 0.1 had."""


def migrated(url: str) -> list[tuple[object, ...]]:
    """Bring the schema up to date; return its shape."""
    migrate(url, {"artifacts": "artifacts.migrations"})
    with psycopg.connect(url) as connection:
        return connection.execute(SHAPE).fetchall()


@pytest.fixture
def shape_of_version_0_1(postgres_url: str) -> list[tuple[object, ...]]:
    """Make the schema as version 0.1 did, with an artifact in it; return its shape."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute(VERSION_0_1)
        connection.execute(ROW)
        return connection.execute(SHAPE).fetchall()


def test_a_database_of_version_0_1_is_taken_over(
    postgres_url: str, shape_of_version_0_1: list[tuple[object, ...]]
) -> None:
    """Its artifacts stay, its tables stay as they are, and the next start finds them numbered."""
    assert migrated(postgres_url) == migrated(postgres_url) == shape_of_version_0_1
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT convert_from(body, 'UTF8') FROM artifacts.blobs").fetchall() == [("abc",)]


def test_an_empty_database_gets_the_same_tables(postgres_url: str) -> None:
    """Made by migrations alone, they are those of version 0.1, column by column and constraint by constraint."""
    made = migrated(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP SCHEMA artifacts CASCADE")
        connection.execute(VERSION_0_1)
        assert connection.execute(SHAPE).fetchall() == made
