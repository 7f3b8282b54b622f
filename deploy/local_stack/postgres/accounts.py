"""The account that PostgreSQL runs as. It refuses root: under root it gets a user namespace or an account without rights."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from local_stack.processes.account import Account

_CANDIDATES = ("postgres", "nobody")


def account_for(folder: Path, data: Path, programs: Path) -> Account | None:
    """Return the account to run PostgreSQL as, None for our own, and make its data and programs reachable for it."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not on every system, and needed by root alone

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(known[name] for name in _CANDIDATES if name in known)
    owner = data.stat() if data.exists() else None
    namespaced = Account(entry.pw_uid, entry.pw_gid, namespaced=True)
    if (owner is None or owner.st_uid == 0) and _possible(namespaced):
        return namespaced
    account = Account(owner.st_uid, owner.st_gid) if owner and owner.st_uid else Account(entry.pw_uid, entry.pw_gid)
    _grant_access(folder, programs)
    _change_owner(data, account)
    return account


def _possible(account: Account) -> bool:
    if sys.platform != "linux":
        return False
    try:
        subprocess.run(["true"], check=True, preexec_fn=account.enter_namespace)  # noqa: S607 - found on PATH everywhere
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def _grant_access(folder: Path, programs: Path) -> None:
    """Let other accounts reach the data and read the programs; folders on the way get `o+x` where it is missing."""
    for place in (folder, programs):
        for passed in (place, *place.parents):
            _add_mode(passed, stat.S_IXOTH)
    if not (programs / "postgres").stat().st_mode & stat.S_IROTH:
        for installed in programs.parent.rglob("*"):
            _add_mode(installed, stat.S_IROTH | stat.S_IXOTH)


def _change_owner(data: Path, account: Account) -> None:
    """Give the account the data that root made in a namespace."""
    if data.exists() and data.stat().st_uid != account.user:
        for path in (data, *data.rglob("*"), data.parent / "postgres.password"):
            os.chown(path, account.user, account.group)


def _add_mode(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
