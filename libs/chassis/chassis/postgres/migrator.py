"""The program that migrates: reads from its input what `chassis.postgres.migrations` says, and prints a line for each schema changed.

Alembic applies what a schema lacks, in one transaction, and keeps the number of the last migration in the schema's table
`schema_version`. It is only imported where something is lacking.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import SQL, Identifier

from chassis.postgres.database_url import parse_database_url
from chassis.postgres.migrations import VERSION_TABLE, MigrationError, NewerSchema, SchemaUnavailable

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

ANSWER_SECONDS = 10
"""How long a server may take to say which version it has, before the process is ended: it may be silent without an end."""

_CONNECTING = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

_CURRENT = SQL("SELECT version_num FROM {}.{}")
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sayso.migrations'))"


def main() -> None:
    """Migrate as the input says."""
    said = json.load(sys.stdin)
    try:
        with _own_errors():
            arguments = parse_database_url(said["url"]).for_libpq(application_name="sayso-migrations", **_CONNECTING)
            for schema, migrations in said["schemas"].items():
                _migrate(arguments, schema, migrations)
    except MigrationError as error:
        sys.stderr.write(str(error))
        sys.exit(error.exit_code)


def _migrate(arguments: Mapping[str, Any], schema: str, migrations: Mapping[str, str]) -> None:
    signal.alarm(ANSWER_SECONDS)
    newest, current = max(migrations), _current(arguments, schema)
    signal.alarm(0)
    if current == newest:
        return
    if current is not None and current not in migrations:
        raise NewerSchema(f"schema {schema} is at {current}, and this version knows it up to {newest}")
    _apply(arguments, schema, migrations)
    sys.stdout.write(json.dumps({"schema": schema, "before": current, "now": newest}) + "\n")


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InternalError) as error:
        raise SchemaUnavailable(str(error).strip() or type(error).__name__) from error
    except psycopg.Error as error:
        raise MigrationError(str(error).strip() or type(error).__name__) from error


def _current(arguments: Mapping[str, Any], schema: str) -> str | None:
    with _connect(arguments) as connection:
        connection.autocommit = True
        try:
            row = connection.execute(_CURRENT.format(Identifier(schema), Identifier(VERSION_TABLE))).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
        return None if row is None else str(row[0])


def _apply(arguments: Mapping[str, Any], schema: str, migrations: Mapping[str, str]) -> None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - half a second that most starts do not need
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(arguments), poolclass=NullPool)
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


def _connect(arguments: Mapping[str, Any]) -> psycopg.Connection:
    return psycopg.connect(prepare_threshold=None, **arguments)


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
        # Without parameters they may be several, and a `%` is nothing but that.
        connection.execution_options(no_parameters=True).exec_driver_sql(statements)

    return upgrade


if __name__ == "__main__":
    main()
