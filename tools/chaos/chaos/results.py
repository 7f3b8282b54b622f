"""The table of what was done and what was counted, in `RESULTS.md`: one line a fault. Lines of faults that were not done stay."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from apache_kafka.artifacts import version
from chaos.counting import Count
from chaos.faults import Fault
from chaos.laws import LAWS

Note = Callable[[Fault, Count], None]
"""Takes down a count for the table."""

RESULTS = Path(__file__).parents[1] / "RESULTS.md"

_HEAD = """# What faults did

Made by `make chaos` on {machine}, Apache Kafka {kafka} and PostgreSQL 18 with fsync on. While people start {rate:g} runs a second,
watch them over WebSockets and decide them over HTTP and WebSockets, one thing after another is done to the system; then
everything that they were told is held against the ledger, the read model, a read model made from nothing, and the provider's
own count of its calls.

Each law is a column, and what stands in it is how often it was broken:

{laws}

*refused* are decisions that were to be refused and were; *asked again* are requests repeated after a 503, a 202, a lost
connection or no answer; *said to retry* are calls of which nobody can know whether they happened, where a person said to call
again; *stall* is the longest time in which nothing took effect, *wait* the longest in which one person was told nothing.

"""
_COLUMNS = ("fault", "runs", "decisions", "refused", "asked again", "said to retry", *LAWS, "stall, s", "wait, s")
TITLES = f"| {' | '.join(_COLUMNS)} |"


def line(name: str, count: Count) -> str:
    """Return a line of the table."""
    numbers = (count.runs, count.decisions, count.refused, count.asked_again, count.retries)
    broken = (len(count.breaches[law]) for law in LAWS)
    return (
        "| "
        + " | ".join([name, *map(str, numbers), *map(str, broken), f"{count.stall:.1f}", f"{count.wait:.1f}"])
        + " |"
    )


def write(lines: dict[str, str], order: Iterable[str], rate: float) -> None:
    """Put lines into the table, by the names of their faults and in their order."""
    old = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    held = {text.split(" | ")[0].removeprefix("| "): text for text in old if text.startswith("| ")}
    held |= lines
    head = _HEAD.format(
        machine=f"{os.cpu_count()} cores and {round(psutil.virtual_memory().total / 2**30)} GB",
        kafka=version(),
        rate=rate,
        laws="\n".join(f"- *{name}*: {law}" for name, law in LAWS.items()),
    )
    table = [TITLES, "|---" + "|---:" * (len(_COLUMNS) - 1) + "|"]
    RESULTS.write_text(head + "\n".join([*table, *(held[name] for name in order if name in held)]) + "\n")
