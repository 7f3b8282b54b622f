"""Runs the steps of `make test`, all of them, in two lanes side by side, and says in the end how each went.

Much of what the tests do is waiting: for groups to settle, servers to start, deadlines to pass. A step's output is shown
whole when it ends; what runs at the moment is said as it begins.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass

LANES = (("lint", "component", "faults"), ("unit", "integration", "e2e"))

_talking = threading.Lock()


@dataclass(frozen=True)
class Ended:
    """How a step went, and how many seconds it took."""

    step: str
    failed: bool
    seconds: float

    def __str__(self) -> str:
        return f"{self.step:<12} {'FAILED' if self.failed else 'ok':<7} {self.seconds:6.1f} s"


def run(step: str) -> Ended:
    """Run `make <step>`, then show what it said."""
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
    """Run all lanes. Return 0 when all went well."""
    began = time.monotonic()
    ended: list[Ended] = []

    def walk(lane: tuple[str, ...]) -> None:
        ended.extend(run(step) for step in lane)

    threads = [threading.Thread(target=walk, args=[lane]) for lane in LANES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Ended("all", any(step.failed for step in ended), time.monotonic() - began)
    _say("\n".join(["\n=== summary", *map(str, ended), str(whole)]))
    return int(whole.failed)


def _say(text: str) -> None:
    with _talking:
        print(text, flush=True)  # noqa: T201 - a program of the terminal


if __name__ == "__main__":
    sys.exit(main())
