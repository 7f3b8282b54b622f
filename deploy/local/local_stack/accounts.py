"""Who PostgreSQL runs as. It refuses root, so under root it runs as an account without rights."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from local_stack.processes import Account

_CANDIDATES = ("postgres", "nobody")


def account_for(data: Path) -> Account | None:
    """Return whom to run as: None is ourselves; under root whoever owns the data, else an account without rights."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    import pwd  # noqa: PLC0415 - not everywhere, and needed by root alone

    known = {entry.pw_name: Account(entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    return next(known[name] for name in _CANDIDATES if name in known)


def open_for(account: Account | None, folder: Path, programs: Path) -> None:
    """Let that account pass through to the data and read the programs; folders on the way get `o+x` where it is missing."""
    if account is None:
        return
    for place in (folder, programs):
        for passed in (place, *place.parents):
            _add(passed, stat.S_IXOTH)
    if not (programs / "postgres").stat().st_mode & stat.S_IROTH:
        for installed in programs.parent.rglob("*"):
            _add(installed, stat.S_IROTH | stat.S_IXOTH)


def _add(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
