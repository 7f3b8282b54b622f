"""Runs all steps of `make test` in two sequences side by side, and lists the result of each at the end.

Tests mostly wait: for groups to settle, servers to start, deadlines to pass. A step's output is shown when it ends.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass

SEQUENCES = (("lint", "component", "faults"), ("unit", "integration", "e2e"))

_terminal = threading.Lock()


@dataclass(frozen=True)
class Ended:
    """The result of a step, and its seconds."""

    step: str
    failed: bool
    seconds: float

    def __str__(self) -> str:
        return f"{self.step:<12} {'FAILED' if self.failed else 'ok':<7} {self.seconds:6.1f} s"


def run(step: str) -> Ended:
    """Run `make <step>`, then show its output."""
    began = time.monotonic()
    _say(f"--- {step} begins")
    made = subprocess.run(  # noqa: S603 - our own targets
        ["make", step],  # noqa: S607
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    ended = Ended(step, made.returncode != 0, time.monotonic() - began)
    _say(f"\n=== {step}\n{made.stdout}--- {ended}")
    return ended


def main() -> int:
    """Run all sequences. Return 0 when no step failed."""
    began = time.monotonic()
    ended: list[Ended] = []

    def run_steps(steps: tuple[str, ...]) -> None:
        ended.extend(run(step) for step in steps)

    threads = [threading.Thread(target=run_steps, args=[steps]) for steps in SEQUENCES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Ended("all", any(step.failed for step in ended), time.monotonic() - began)
    _say("\n".join(["\n=== summary", *map(str, ended), str(whole)]))
    return int(whole.failed)


def _say(text: str) -> None:
    with _terminal:
        print(text, flush=True)  # noqa: T201 - a program of the terminal


if __name__ == "__main__":
    sys.exit(main())
