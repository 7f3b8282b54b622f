"""Who PostgreSQL runs as. It refuses root, so under root it runs disguised, or as an account without rights."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CANDIDATES = ("postgres", "nobody")
_CLONE_NEWUSER = 0x10000000


@dataclass(frozen=True)
class Account:
    """Another account to run a program as; only root can.

    `disguised` is root that takes itself for that account, in a user namespace: its files stay root's, wherever they are.
    """

    user: int
    group: int
    disguised: bool = False

    def options(self) -> dict[str, Any]:
        """Return how `subprocess` is told."""
        return {} if self.disguised else {"user": self.user, "group": self.group, "extra_groups": []}

    def enter(self) -> None:
        """Put the disguise on, in the child before its program. Raises OSError where the kernel forbids it."""
        if not self.disguised:
            return
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), "no user namespace")
        Path("/proc/self/uid_map").write_text(f"{self.user} 0 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{self.group} 0 1")


def account_for(folder: Path, data: Path, programs: Path) -> Account | None:
    """Return whom to run PostgreSQL as, None being ourselves, and see that it can reach its data and its programs."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not everywhere, and needed by root alone

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(known[name] for name in _CANDIDATES if name in known)
    owner = data.stat() if data.exists() else None
    disguised = Account(entry.pw_uid, entry.pw_gid, disguised=True)
    if (owner is None or owner.st_uid == 0) and _possible(disguised):
        return disguised
    account = Account(owner.st_uid, owner.st_gid) if owner and owner.st_uid else Account(entry.pw_uid, entry.pw_gid)
    _open(folder, programs)
    _give(account, data)
    return account


def _possible(account: Account) -> bool:
    if sys.platform != "linux":
        return False
    try:
        subprocess.run(["true"], check=True, preexec_fn=account.enter)  # noqa: S607 - as in processes
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def _open(folder: Path, programs: Path) -> None:
    """Let others pass through to the data and read the programs; folders on the way get `o+x` where it is missing."""
    for place in (folder, programs):
        for passed in (place, *place.parents):
            _add(passed, stat.S_IXOTH)
    if not (programs / "postgres").stat().st_mode & stat.S_IROTH:
        for installed in programs.parent.rglob("*"):
            _add(installed, stat.S_IROTH | stat.S_IXOTH)


def _give(account: Account, data: Path) -> None:
    """Hand over data that root made in disguise."""
    if data.exists() and data.stat().st_uid != account.user:
        for path in (data, *data.rglob("*"), data.parent / "postgres.password"):
            os.chown(path, account.user, account.group)


def _add(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
