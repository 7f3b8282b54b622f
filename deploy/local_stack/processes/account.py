"""The account that a child process runs as, where this process is root."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000


@dataclass(frozen=True)
class Account:
    """Another account to run a program as; only root can.

    With `namespaced`, root maps itself to that account in a user namespace: the program sees the account, its files stay root's.
    """

    user: int
    group: int
    namespaced: bool = False

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `subprocess` that set this account."""
        return {} if self.namespaced else {"user": self.user, "group": self.group, "extra_groups": []}

    def enter_namespace(self) -> None:
        """Enter the user namespace, in the child before its program. Raises OSError where the kernel forbids it."""
        if not self.namespaced:
            return
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), "no user namespace")
        Path("/proc/self/uid_map").write_text(f"{self.user} 0 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{self.group} 0 1")
