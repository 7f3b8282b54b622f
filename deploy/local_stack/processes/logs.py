"""Log files: those of earlier starts are kept, a long one is rotated, and warnings are shown on the terminal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 5
"""Earlier files of each log, of earlier starts or of a long one: with MAX_BYTES they bound the folder."""

_WARNING = re.compile(r"\[(?:warning|error|critical)\s*\]|\"level\": ?\"(?:warning|error|critical)\"")
_TIME = re.compile(r"^\S+Z? +(?=\[)")


def rotate(log: Path, at_least: int = 1) -> None:
    """Copy `log` to `<log>.1` and empty it, once it holds `at_least` bytes; the last KEPT copies stay. Its writer goes on at the start."""
    if log.exists() and log.stat().st_size >= at_least:
        for number in range(KEPT - 1, 0, -1):
            earlier = _earlier(log, number)
            if earlier.exists():
                earlier.replace(_earlier(log, number + 1))
        shutil.copyfile(log, _earlier(log, 1))
        with log.open("r+b") as emptied:
            emptied.truncate(0)


def _earlier(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


class LogFollower:
    """Reads the lines that are added to one log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0

    def warnings(self) -> Iterator[str]:
        """Yield the warnings and errors added since the last call, without their time."""
        for line in self._added():
            if _WARNING.search(line):
                yield _TIME.sub("", line)

    def _added(self) -> list[str]:
        if not self._log.exists():
            return []
        size = self._log.stat().st_size
        if size < self._offset:
            self._offset = 0
        if size == self._offset:
            return []
        with self._log.open("rb") as log:
            log.seek(self._offset)
            added = log.read(size - self._offset)
        whole = added.rfind(b"\n") + 1
        self._offset += whole
        return added[:whole].decode(errors="replace").splitlines()
