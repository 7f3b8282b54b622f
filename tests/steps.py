"""Runs all steps of `make test`, three at a time, and lists the result of each at the end.

Tests mostly wait: for groups to settle, servers to start, deadlines to pass. Two cores carry three steps. A step that ends is
followed by the next one that has not begun; its output is shown when it ends.
All suites run with three partitions a topic on the real Kafka. Those that rest on Kafka most run again with six, and the faults again
with all fetching and sending left to the client library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

AT_ONCE = 3
"""Each step has servers of its own, on free ports."""


@dataclass(frozen=True)
class Step:
    """A target of the Makefile, the partitions of a topic on the real Kafka, and which of the target's tests run; all by default."""

    target: str
    partitions: int = 3
    only: str = ""
    steady_path: bool = True
    of: str = ""
    """What a part of the target is called."""

    def __str__(self) -> str:
        path = "" if self.steady_path else " without the steady path"
        partitions = "" if self.partitions == Step.partitions else f" with {self.partitions} partitions"
        return f"{self.target}{self.of and f' of {self.of}'}{partitions}{path}"


EDGES = ("gateway", "notifier")
INNER = sorted(
    folder.name for folder in (Path(__file__).parent / "component").glob("[a-z]*/") if folder.name not in EDGES
)
"""All other folders, so that a new one is left out of no step."""

ON_KAFKA = ("messaging", "worker/test_worker_on_kafka.py", "orchestrator/test_notices_on_kafka.py")


def _components(*places: str) -> str:
    return " ".join(f"tests/component/{place}" for place in places)


STEPS = (
    Step("component", only=_components(*INNER), of="all others"),
    Step("e2e"),
    Step("lint"),
    Step("unit"),
    Step("component", only=_components(*EDGES), of=" and ".join(EDGES)),
    Step("component", 6, f"{_components(*ON_KAFKA)} -k 'not embedded'"),
    Step("integration"),
    Step("e2e", 6, "tests/e2e -k 'real and not 200_times'"),
    Step("faults"),
    Step("faults", steady_path=False),
)
"""What takes longest comes first, so that the last ones end together; what fails soonest is among the first."""

_terminal = threading.Lock()


@dataclass(frozen=True)
class Ended:
    """The result of a step, and its seconds."""

    step: Step | str
    failed: bool
    seconds: float

    def __str__(self) -> str:
        return f"{self.step!s:<34} {'FAILED' if self.failed else 'ok':<7} {self.seconds:6.1f} s"


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
    """Run all steps. Return 0 when none failed."""
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(run, STEPS))
    whole = Ended("all", any(step.failed for step in ended), time.monotonic() - began)
    _say("\n".join(["\n=== summary", *map(str, ended), str(whole)]))
    return int(whole.failed)


def _say(text: str) -> None:
    with _terminal:
        print(text, flush=True)  # noqa: T201 - a program of the terminal


if __name__ == "__main__":
    sys.exit(main())
