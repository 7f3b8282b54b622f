"""Schemas as numbered migrations: each schema has one owner, who brings it up to date at its start, one owner at a time.

A migration is a file `0001_what_it_does.sql` in a package of its own. They are applied in a process of its own
(`chassis.postgres.migrator`): its libraries would cost each service 40 MB for as long as it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources

import structlog

_log = structlog.get_logger(__name__)

VERSION_TABLE = "schema_version"

_PROGRAM = (sys.executable, "-m", "chassis.postgres.migrator")


class MigrationError(Exception):
    """A migration cannot be applied; nothing of its schema's was. The message is PostgreSQL's."""

    exit_code = 1


class SchemaUnavailable(MigrationError):
    """PostgreSQL does not answer, or an object of another owner is in the way: the same call may succeed later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class NewerSchema(MigrationError):
    """The schema was made by a newer version of the product than this one."""

    exit_code = 78  # EX_CONFIG


def migrate(url: str, packages: Mapping[str, str]) -> None:
    """Apply to each schema the migrations of its package that it lacks, or wait for another process that does.

    A schema gets all or nothing. Raises SchemaUnavailable, NewerSchema, or MigrationError for a statement that is wrong.
    """
    # The URL has a password, which other users must not find among the arguments of a process.
    said = json.dumps({"url": url, "schemas": {schema: _migrations(package) for schema, package in packages.items()}})
    done = subprocess.run(_PROGRAM, input=said, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    for applied in map(json.loads, done.stdout.splitlines()):
        _log.info("the schema is up to date", **applied)
    if done.returncode < 0:
        raise SchemaUnavailable("PostgreSQL does not say which version its tables have")
    if done.returncode != 0:
        errors = {error.exit_code: error for error in (SchemaUnavailable, NewerSchema)}
        raise errors.get(done.returncode, MigrationError)(done.stderr.strip())


def _migrations(package: str) -> dict[str, str]:
    files = [file for file in resources.files(package).iterdir() if file.name.endswith(".sql")]
    return {file.name.split("_", 1)[0]: file.read_text() for file in files}
