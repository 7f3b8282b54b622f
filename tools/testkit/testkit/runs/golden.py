"""The golden files, which hold the bytes of one message of every kind.

A golden file is a promise: what was once written can be read for ever. Run this module to write the files that are
missing; it never touches one that is there. When a kind grows by a member, keep its old file as `<kind>.1.json` (2, 3,
...), which must still be read, and write `<kind>.json` anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from contracts.message import Message
from contracts.runs.run_event import RunEvent
from testkit.runs.samples import samples

FOLDER = Path(__file__).parents[4] / "tests" / "golden"


def to_bytes(message: Message) -> bytes:
    """Return a message as it travels."""
    return message.to_bytes() if isinstance(message, RunEvent) else message.model_dump_json().encode()


def read(path: Path) -> bytes:
    """Return the message that a golden file holds: one line, without the end of it."""
    return path.read_bytes().removesuffix(b"\n")


def main() -> None:
    """Write the golden files that are missing."""
    if os.environ.get("CI"):
        sys.exit("golden files are written by a person, who looks at them")
    FOLDER.mkdir(exist_ok=True)
    for kind, message in samples().items():
        path = FOLDER / f"{kind}.json"
        if not path.exists():
            path.write_bytes(to_bytes(message) + b"\n")
            print("wrote", path)


if __name__ == "__main__":
    main()
