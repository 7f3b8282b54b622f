"""Numbered migrations on a real PostgreSQL: applied once, all or nothing, by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from chassis.postgres.migrations import MigrationError, NewerSchema, SchemaUnavailable, migrate

SHOP = {"shop": "shop_migrations"}

FIRST = """
CREATE TABLE shop.things (name text PRIMARY KEY);
-- Several statements, a per cent sign and a body in dollars.
DO $$ BEGIN
IF NOT EXISTS (SELECT FROM shop.things WHERE name LIKE 'a%') THEN
    INSERT INTO shop.things VALUES ('apple'), ('10% off: :name');
END IF;
END $$;
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of migrations that can be imported as `shop_migrations`."""
    folder = tmp_path / "shop_migrations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "0001_things.sql").write_text(FIRST)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shop_migrations", raising=False)
    return folder


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Ask the database."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_what_is_missing_is_applied_once(postgres_url: str, package: Path) -> None:
    """A start on an empty database makes the schema; the next start finds it made; a new file is all that a later one adds."""
    migrate(postgres_url, SHOP)
    migrate(postgres_url, SHOP)
    assert rows(postgres_url, "SELECT count(*) FROM shop.things") == [(2,)]
    (package / "0002_prices.sql").write_text("ALTER TABLE shop.things ADD price integer;")
    migrate(postgres_url, SHOP)
    assert rows(postgres_url, "SELECT version_num FROM shop.schema_version") == [("0002",)]
    assert rows(postgres_url, "SELECT price FROM shop.things WHERE name = 'apple'") == [(None,)]


def test_a_migration_that_fails_leaves_nothing(postgres_url: str, package: Path) -> None:
    """Not the statements before it, nor the migrations before it, nor the schema."""
    (package / "0002_broken.sql").write_text("CREATE TABLE shop.more (); SELECT no_such_function();")
    with pytest.raises(MigrationError, match="no_such_function"):
        migrate(postgres_url, SHOP)
    assert rows(postgres_url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'") == [(0,)]


def test_several_processes_start_at_once(postgres_url: str, package: Path) -> None:
    """All of them return with the schema made, and it was made once."""
    del package
    with ThreadPoolExecutor(6) as threads:
        for made in [threads.submit(migrate, postgres_url, SHOP) for _ in range(6)]:
            made.result()
    assert rows(postgres_url, "SELECT count(*) FROM shop.things") == [(2,)]


def test_a_schema_of_a_newer_version_is_refused(postgres_url: str, package: Path) -> None:
    """An old process does not work on tables that it does not know."""
    (package / "0002_prices.sql").write_text("ALTER TABLE shop.things ADD price integer;")
    migrate(postgres_url, SHOP)
    (package / "0002_prices.sql").unlink()
    with pytest.raises(NewerSchema, match="schema shop is at 0002, and this version knows it up to 0001"):
        migrate(postgres_url, SHOP)


def test_a_server_that_does_not_answer_is_told_apart_from_a_wrong_statement(package: Path) -> None:
    """Who waits for PostgreSQL tries again; who shipped a wrong migration does not."""
    del package
    with pytest.raises(SchemaUnavailable):
        migrate("postgresql://nobody@127.0.0.1:1/none", SHOP)


def test_services_do_not_keep_the_libraries_of_migrations() -> None:
    """They would hold 40 MB for what is done once, before the first request."""
    program = (
        "import sys, gateway.app, provider_worker.app; print(*{'alembic', 'psycopg', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    assert done.stdout.split() == []
