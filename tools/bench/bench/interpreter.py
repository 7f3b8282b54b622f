"""The interpreter that a benchmark measured, since figures of different builds do not compare."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

PACE = Path(__file__).parents[3] / "deploy" / "pace.py"


def interpreter() -> str:
    """Return implementation, version and pace, such as `CPython 3.11.2, a pace of 480`.

    The pace is the set-up's: rounds of its loop in 50 ms, the best of five. A build does not say by itself whether it is optimised.
    """
    turns = (subprocess.run([sys.executable, PACE], check=True, capture_output=True, text=True) for _ in range(5))  # noqa: S603
    pace = max(int(turn.stdout) for turn in turns)
    return f"{platform.python_implementation()} {platform.python_version()}, a pace of {pace}"
