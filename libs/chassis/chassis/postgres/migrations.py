"""Schemas as numbered migrations: each schema has one owner, who brings it up to date at its start, one owner at a time.

A migration is a file `0001_what_it_does.sql` in a package of its own. Alembic applies those that are missing, all of them in one
transaction, and keeps the number of the last one in the schema's table `schema_version`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from types import ModuleType
from typing import TYPE_CHECKING

import psycopg
import structlog
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

_log = structlog.get_logger(__name__)

VERSION_TABLE = "schema_version"

_CURRENT = SQL("SELECT version_num FROM {}.{}")
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sayso.migrations'))"


class MigrationError(Exception):
    """A migration cannot be applied; nothing of it was. The message is PostgreSQL's."""


class SchemaUnavailable(MigrationError):
    """PostgreSQL does not answer, or somebody else's object is in the way: the same call may succeed later."""


class SchemaFromTheFuture(MigrationError):
    """The schema was made by a newer version of the product than this one."""


def migrate(url: str, schema: str, package: str) -> None:
    """Apply to `schema` the migrations of `package` that it lacks, or wait for another process that does.

    All or nothing. Raises SchemaUnavailable, SchemaFromTheFuture for a schema that is ahead, MigrationError for a statement that is wrong.
    """
    migrations = _migrations(package)
    newest = max(migrations)
    with _own_errors():
        current = _current(url, schema)
    if current == newest:  # nearly every start: Alembic costs 30 MB and is not even imported
        return
    if current is not None and current not in migrations:
        raise SchemaFromTheFuture(f"schema {schema} is at {current}, and this version knows it up to {newest}")
    with _own_errors():
        _apply(url, schema, migrations)
    _log.info("the schema is up to date", schema=schema, before=current, now=newest)


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InternalError) as error:
        raise SchemaUnavailable(str(error).strip() or type(error).__name__) from error
    except psycopg.Error as error:
        raise MigrationError(str(error).strip() or type(error).__name__) from error


def _migrations(package: str) -> dict[str, Traversable]:
    files = [file for file in resources.files(package).iterdir() if file.name.endswith(".sql")]
    return {file.name.split("_", 1)[0]: file for file in files}


def _current(url: str, schema: str) -> str | None:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        try:
            row = connection.execute(_CURRENT.format(Identifier(schema), Identifier(VERSION_TABLE))).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
        return None if row is None else str(row[0])


def _apply(url: str, schema: str, migrations: dict[str, Traversable]) -> None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - see `migrate`
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    logging.getLogger("alembic").setLevel(logging.WARNING)  # one line of ours says it
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(_LOCK)
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            directory = _directory(migrations, connection)
            context = MigrationContext.configure(
                connection,
                opts={
                    "script": directory,
                    "version_table": VERSION_TABLE,
                    "version_table_schema": schema,
                    "fn": lambda revision, _: directory._upgrade_revs("head", revision),  # noqa: SLF001 - as Alembic's own cookbook
                },
            )
            context.run_migrations()
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error


def _directory(migrations: dict[str, Traversable], connection: Connection) -> ScriptDirectory:
    from alembic.script import Script, ScriptDirectory  # noqa: PLC0415 - as above
    from alembic.script.revision import RevisionMap  # noqa: PLC0415

    scripts, before = [], None
    for number, file in sorted(migrations.items()):
        module = ModuleType(file.name)
        module.revision, module.down_revision = number, before  # type: ignore[attr-defined]
        module.upgrade = _upgrade(connection, file)  # type: ignore[attr-defined]
        scripts.append(Script(module, number, file.name))
        before = number
    directory = ScriptDirectory(".")
    directory.revision_map = RevisionMap(lambda: scripts)
    return directory


def _upgrade(connection: Connection, file: Traversable) -> Callable[[], None]:
    def upgrade() -> None:
        # Without parameters a file may hold several statements, and a `%` is nothing but that.
        connection.execution_options(no_parameters=True).exec_driver_sql(file.read_text())

    return upgrade
