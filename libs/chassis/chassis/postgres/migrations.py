"""Schemas as numbered migrations: each schema has one owner, who brings it up to date at its start, one owner at a time.

A migration is a file `0001_what_it_does.sql` in a package of its own. Alembic applies those that are missing, all of them in one
transaction, and keeps the number of the last one in the schema's table `schema_version`. It does so in a process of its own, which
gives back at its end the 30 MB that Alembic needs.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
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

_UNAVAILABLE = 75
"""How the process that migrates says SchemaUnavailable: EX_TEMPFAIL of sysexits.h."""


class MigrationError(Exception):
    """A migration cannot be applied; nothing of it was. The message is PostgreSQL's."""


class SchemaUnavailable(MigrationError):
    """PostgreSQL does not answer, or an object of another owner is in the way: the same call may succeed later."""


class NewerSchema(MigrationError):
    """The schema was made by a newer version of the product than this one."""


def migrate(url: str, schema: str, package: str) -> None:
    """Apply to `schema` the migrations of `package` that it lacks, or wait for another process that does.

    All or nothing. Raises SchemaUnavailable, NewerSchema for a schema that is ahead, MigrationError for a statement that is wrong.
    """
    migrations = _migrations(package)
    newest = max(migrations)
    with _own_errors():
        current = _current(url, schema)
    if current == newest:
        return
    if current is not None and current not in migrations:
        raise NewerSchema(f"schema {schema} is at {current}, and this version knows it up to {newest}")
    _apply(url, schema, {number: file.read_text() for number, file in migrations.items()})
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


def _apply(url: str, schema: str, migrations: Mapping[str, str]) -> None:
    # The URL has a password, which other users must not find among the arguments of a process.
    told = json.dumps({"url": url, "schema": schema, "migrations": migrations})
    done = subprocess.run([sys.executable, "-m", __name__], input=told, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode == _UNAVAILABLE:
        raise SchemaUnavailable(done.stderr.strip())
    if done.returncode != 0:
        raise MigrationError(done.stderr.strip())


def _main() -> None:
    try:
        with _own_errors():
            _apply_here(**json.load(sys.stdin))
    except MigrationError as error:
        sys.stderr.write(str(error))
        sys.exit(_UNAVAILABLE if isinstance(error, SchemaUnavailable) else 1)


def _apply_here(url: str, schema: str, migrations: Mapping[str, str]) -> None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - it would cost each service its memory
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


def _directory(migrations: Mapping[str, str], connection: Connection) -> ScriptDirectory:
    from alembic.script import Script, ScriptDirectory  # noqa: PLC0415 - as above
    from alembic.script.revision import RevisionMap  # noqa: PLC0415

    scripts, before = [], None
    for number, statements in sorted(migrations.items()):
        module = ModuleType(number)
        module.revision, module.down_revision = number, before  # type: ignore[attr-defined]
        module.upgrade = _upgrade(connection, statements)  # type: ignore[attr-defined]
        scripts.append(Script(module, number, number))
        before = number
    directory = ScriptDirectory(".")
    directory.revision_map = RevisionMap(lambda: scripts)
    return directory


def _upgrade(connection: Connection, statements: str) -> Callable[[], None]:
    def upgrade() -> None:
        # Without parameters a file may hold several statements, and a `%` is nothing but that.
        connection.execution_options(no_parameters=True).exec_driver_sql(statements)

    return upgrade


if __name__ == "__main__":
    _main()
