"""The data folder: one stack at a time, and nothing left of an earlier one that ended without a word."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

_CLOCK_SECONDS = 2.0
"""Start times of one process are told apart only roughly."""


FORMER = ".countersign"
"""What the data folder was called under the product's first name."""


class FolderBusy(Exception):
    """Another stack runs on this data folder, or the folder cannot be written; the message says which."""


def take_over_former(folder: Path) -> Path | None:
    """Move the data of the product's first name to `folder` where nothing is yet; return where they lay, None if there are none."""
    former = folder.parent / FORMER
    if folder.exists() or not (former / "postgres" / "PG_VERSION").exists():
        return None
    try:
        with owned(former):
            end_leftovers(former)
            former.rename(folder)
    except OSError as error:
        raise FolderBusy(f"{former} cannot be moved to {folder}: {error.strerror}") from None
    return former


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own the data folder, for as long as this process lives. Raises FolderBusy."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise FolderBusy(f"a stack is running on {folder} already (process {lock.read().strip()})") from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise FolderBusy(f"SAYSO_DATA_DIR: {folder} cannot be written: {error.strerror}") from None


def remember(folder: Path, pids: Iterable[int]) -> None:
    """Write down which processes belong to the stack, for the next start to find what is left of them."""
    noted = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            noted.append([pid, psutil.Process(pid).create_time()])
    (folder / "processes.json").write_text(json.dumps(noted))


def end_leftovers(folder: Path) -> int:
    """End what an earlier stack left running where the kernel did not do it already; return how many there were.

    PostgreSQL is not among them: it is asked to stop in order, by its own start.
    """
    ended = 0
    with contextlib.suppress(OSError, ValueError, TypeError):
        for pid, began in json.loads((folder / "processes.json").read_text()):
            with contextlib.suppress(psutil.Error):
                left = psutil.Process(pid)
                if abs(left.create_time() - began) < _CLOCK_SECONDS and left.status() != psutil.STATUS_ZOMBIE:
                    left.kill()
                    ended += 1
    return ended
