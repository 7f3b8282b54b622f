"""The data folder: one stack at a time, and no process left of an earlier stack that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import psutil

_CLOCK_SECONDS = 2.0
"""The start time of one process is read twice with this difference at most."""

LOCK = "lock"
"""The file of the folder that a stack holds locked. A folder without it was never a stack's."""

FORMER = ".countersign"
"""The data folder's name under the product's first name."""


class FolderBusy(Exception):
    """Another stack runs on this data folder, or the folder cannot be written; the message says which."""


def take_over_former(folder: Path) -> Path | None:
    """Move the data of the product's first name to `folder`, where that does not exist; return where they were, or None."""
    former = folder.parent / FORMER
    if folder.exists() or not (former / "postgres" / "PG_VERSION").exists():
        return None
    try:
        with folder_lock(former):
            end_leftovers(former)
            former.rename(folder)
    except OSError as error:
        raise FolderBusy(f"{former} cannot be moved to {folder}: {error.strerror}") from None
    return former


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the data folder's lock as long as the block or this process lasts. Raises FolderBusy."""
    with _open_lock(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderBusy(f"a stack is running on {folder} already (process {lock.read().strip()})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _open_lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (folder / LOCK).open("a+")
    except OSError as error:
        raise FolderBusy(f"SAYSO_DATA_DIR: {folder} cannot be written: {error.strerror}") from None


def save_processes(folder: Path, pids: Iterable[int]) -> None:
    """Write down the stack's process ids with their start times, for `end_leftovers` at the next start."""
    saved = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            saved.append([pid, psutil.Process(pid).create_time()])
    (folder / "processes.json").write_text(json.dumps(saved))


def end_leftovers(folder: Path) -> int:
    """Kill the saved processes that still run; return how many there were.

    PostgreSQL is not among them: its own start stops an earlier server in order.
    """
    ended = 0
    with contextlib.suppress(OSError, ValueError, TypeError):
        for pid, started in json.loads((folder / "processes.json").read_text()):
            with contextlib.suppress(psutil.Error):
                left = psutil.Process(pid)
                if abs(left.create_time() - started) < _CLOCK_SECONDS and left.status() != psutil.STATUS_ZOMBIE:
                    left.kill()
                    ended += 1
    return ended
