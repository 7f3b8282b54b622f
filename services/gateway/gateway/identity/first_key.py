"""The first API key: without one, no key could ever be made while authentication is on."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import structlog

from chassis.retry import patiently
from chassis.settings import Settings
from contracts.identity import Role
from gateway.errors import DatabaseUnavailable
from gateway.http.caller import TRUSTED
from gateway.ports import Adapters, Now
from identity.api_keys import KeyRecord, new_key
from identity.errors import IdentityUnavailable, KeyExists
from identity.ports import KeyRepository

FILE = "admin.key"
SUBJECT = "admin"

_ID = uuid5(NAMESPACE_URL, "sayso:first-key")
_log = structlog.get_logger(__name__)


async def keep_first_key(adapters: Adapters, settings: Settings) -> None:
    """While authentication is on and there is no key, make an administrator's and write it to `admin.key`, for its owner's eyes.

    Waits while PostgreSQL is unavailable. Of several gateways that start at once one makes the key: its id is always the same.
    """

    async def keep() -> None:
        await adapters.database.check()
        await _keep(adapters.keys, settings.data_dir, adapters.now)

    if settings.auth == "on":
        await patiently("PostgreSQL", keep, DatabaseUnavailable, IdentityUnavailable)


async def _keep(keys: KeyRepository, folder: Path, now: Now) -> None:
    if await keys.has_any():
        return
    made = new_key()
    record = KeyRecord(
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
    try:
        await keys.add(record, made.sha256)
    except KeyExists:
        return
    path = folder / FILE
    _write(path, made.text)
    _log.info("the first API key is an administrator's", lies_in=str(path.resolve()))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an older file may be open to others
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
