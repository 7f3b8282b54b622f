"""The first API key: without one, no key could ever be made while authentication is on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import structlog

from chassis.retry import patiently
from chassis.settings import Settings
from contracts.identity import Role
from gateway.errors import DatabaseUnavailable, GatewayError
from gateway.http.caller import TRUSTED
from gateway.ports import Adapters, Now
from identity.errors import IdentityUnavailable, KeyExists
from identity.keys.record import KeyRecord, NewKey, new_key
from identity.ports import KeyRepository

SUBJECT = "admin"

_ID = uuid5(NAMESPACE_URL, "sayso:first-key")
_log = structlog.get_logger(__name__)


class DataFolderUnusable(GatewayError):
    """SAYSO_DATA_DIR cannot be written, and the first API key lies nowhere else."""


class FirstKey:
    """The first key of an installation. While authentication is off, none is needed."""

    def __init__(self, adapters: Adapters, settings: Settings) -> None:
        self._adapters = adapters
        self._file = settings.admin_key_file.absolute()
        self._is_missing = settings.auth == "on"

    async def keep(self) -> None:
        """Make an administrator's key and write it to `admin.key`, for its owner's eyes, if there is no key yet.

        Waits while PostgreSQL is unavailable. Of several gateways that start at once one makes the key: its id is always the same.
        Raises DataFolderUnusable.
        """
        if self._is_missing:
            await patiently("PostgreSQL", self._keep, DatabaseUnavailable, IdentityUnavailable)
            self._is_missing = False

    async def check(self) -> None:
        """Return once there is a key. Raises DatabaseUnavailable."""
        if self._is_missing:
            raise DatabaseUnavailable("the first API key is being made")

    async def _keep(self) -> None:
        await self._adapters.database.check()
        await _keep(self._adapters.keys, self._file, self._adapters.now)


async def _keep(keys: KeyRepository, file: Path, now: Now) -> None:
    if await keys.has_any():
        return
    made = new_key()
    # The file comes first: a key that is kept and written nowhere would be the only one, and open nothing.
    written = _write(file, made.text)
    try:
        await keys.add(_record(made, now), made.sha256)
    except BaseException as error:
        written.unlink()
        if isinstance(error, KeyExists):
            return
        raise
    written.replace(file)
    _log.info("the first API key is an administrator's", lies_in=str(file))


def _record(made: NewKey, now: Now) -> KeyRecord:
    return KeyRecord(
        id=_ID,
        tenant=TRUSTED.tenant,
        name="the first key",
        subject=SUBJECT,
        kind="person",
        roles=(Role.ADMIN,),
        groups=(),
        owner=None,
        prefix=made.prefix,
        created_at=now(),
        created_by=SUBJECT,
    )


def _write(file: Path, text: str) -> Path:
    """Write a new file beside `file`, which its owner alone may read; return it. Raises DataFolderUnusable."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
        with os.fdopen(handle, "w") as new:
            new.write(f"{text}\n")
    except OSError as error:
        raise DataFolderUnusable(f"SAYSO_DATA_DIR: {file.parent} cannot be written: {error.strerror}") from None
    return Path(name)
