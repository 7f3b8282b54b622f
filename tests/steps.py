"""Runs all steps of `make test` in two sequences side by side, and lists the result of each at the end.

Tests mostly wait: for groups to settle, servers to start, deadlines to pass. A step's output is shown when it ends.
All suites run with three partitions a topic on the real Kafka. Those that rest on Kafka most run again with six, and the faults again
with all fetching and sending left to the client library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A target of the Makefile, the partitions of a topic on the real Kafka, and which of the target's tests run; all by default."""

    target: str
    partitions: int = 3
    only: str = ""
    steady_path: bool = True

    def __str__(self) -> str:
        path = "" if self.steady_path else " without the steady path"
        return f"{self.target} with {self.partitions} partitions" if self.only else self.target + path


ON_KAFKA = " ".join(
    f"tests/component/{place}"
    for place in ("messaging", "worker/test_worker_on_kafka.py", "orchestrator/test_notices_on_kafka.py")
)

SEQUENCES = (
    (Step("lint"), Step("component"), Step("faults"), Step("faults", steady_path=False)),
    (
        Step("unit"),
        Step("integration"),
        Step("e2e"),
        Step("e2e", 6, "tests/e2e -k 'real and not 200_times'"),
        Step("component", 6, f"{ON_KAFKA} -k 'not embedded'"),
    ),
)

_terminal = threading.Lock()


@dataclass(frozen=True)
class Ended:
    """The result of a step, and its seconds."""

    step: Step | str
    failed: bool
    seconds: float

    def __str__(self) -> str:
        return f"{self.step!s:<32} {'FAILED' if self.failed else 'ok':<7} {self.seconds:6.1f} s"


def run(step: Step) -> Ended:
    """Run `make <target>`, then show its output."""
    began = time.monotonic()
    _say(f"--- {step} begins")
    made = subprocess.run(  # noqa: S603 - our own targets
        ["make", step.target, *([f"TESTS={step.only}"] if step.only else [])],  # noqa: S607
        check=False,
        env={
            **os.environ,
            "TEST_KAFKA_PARTITIONS": str(step.partitions),
            "SAYSO_KAFKA_STEADY_PATH": str(step.steady_path).lower(),
        },
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

    def run_steps(steps: tuple[Step, ...]) -> None:
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
