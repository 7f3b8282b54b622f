"""The services' log files: kept small, and their warnings brought to the terminal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
_SERIOUS = re.compile(r"\[(?:warning|error|critical)\s*\]|\"level\": ?\"(?:warning|error|critical)\"")
_TIME = re.compile(r"^\S+Z? +(?=\[)")


def set_aside(log: Path, at_least: int = 1) -> None:
    """Keep what is in `log` as `<log>.1` and empty it, once it holds `at_least` bytes. Whoever writes it goes on."""
    if log.exists() and log.stat().st_size >= at_least:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        with log.open("r+b") as emptied:
            emptied.truncate(0)


class Follower:
    """Reads what is added to one log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = log.stat().st_size if log.exists() else 0

    def serious(self) -> Iterator[str]:
        """Yield the warnings and errors that were added since the last call, without their time."""
        for line in self._added():
            if _SERIOUS.search(line):
                yield _TIME.sub("", line)

    def _added(self) -> list[str]:
        if not self._log.exists():
            return []
        size = self._log.stat().st_size
        if size < self._read:
            self._read = 0
        if size == self._read:
            return []
        with self._log.open("rb") as log:
            log.seek(self._read)
            added = log.read(size - self._read)
        whole = added.rfind(b"\n") + 1
        self._read += whole
        return added[:whole].decode(errors="replace").splitlines()
