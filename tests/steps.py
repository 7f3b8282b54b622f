"""Runs the steps of `make test` one after the other, all of them, and says in the end how each went."""

from __future__ import annotations

import subprocess
import sys
import time


def main(steps: list[str]) -> int:
    """Run `make <step>` for each step. Return 0 when all went well."""
    began, lines, failed = time.monotonic(), [], 0
    for step in steps:
        print(f"\n=== {step}", flush=True)  # noqa: T201 - a program of the terminal
        started = time.monotonic()
        ended = subprocess.run(["make", step], check=False)  # noqa: S603, S607 - our own targets
        failed += ended.returncode != 0
        lines.append(f"{step:<12} {'FAILED' if ended.returncode else 'ok':<7} {time.monotonic() - started:6.1f} s")
    summary = f"{'all':<12} {'FAILED' if failed else 'ok':<7} {time.monotonic() - began:6.1f} s"
    print("\n=== summary", *lines, summary, sep="\n", flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
