"""The table in `RESULTS.md`: one line a fault. Lines of faults that did not run stay."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from apache_kafka.artifacts import version
from chaos.faults import Fault
from chaos.verdict.count import Count
from chaos.verdict.laws import LAWS

Note = Callable[[Fault, Count], None]
"""Writes a count into the table."""

RESULTS = Path(__file__).parents[1] / "RESULTS.md"

_HEAD = """# Faults under load

Made by `make chaos` on {machine}, Apache Kafka {kafka} and PostgreSQL 18 with fsync on. Clients start {rate:g} runs a second,
watch them over WebSockets and decide them over HTTP and WebSockets while one fault after another is injected. Then every
answer that they got is held against the ledger, the read model, a read model rebuilt from the topic, and the provider's own
count of its calls.

Each law is a column with the number of its breaches:

{laws}

*about tasks*: claims, releases, assignments, dates, comments, drafts, pauses and absences; *refused*: requests that had to be refused, or lost a
race; *asked again*: requests repeated after a 503, a 202, a lost connection or no answer; *said to retry*: uncertain calls that a
person repeated; *stall*: the longest time without an accepted request; *wait*: the longest time that one client of a run without
rules got neither an answer nor a push. A line with `-` under a law was made before there was that law.

"""
_COLUMNS = (
    "fault",
    "runs",
    "decisions",
    "about tasks",
    "refused",
    "asked again",
    "said to retry",
    *LAWS,
    "stall, s",
    "wait, s",
)
TITLES = f"| {' | '.join(_COLUMNS)} |"


def line(name: str, count: Count) -> str:
    """Return a line of the table."""
    numbers = (count.runs, count.decisions, count.about_tasks, count.refused, count.asked_again, count.retries)
    broken = (len(count.breaches[law]) for law in LAWS)
    return (
        "| "
        + " | ".join([name, *map(str, numbers), *map(str, broken), f"{count.stall:.1f}", f"{count.wait:.1f}"])
        + " |"
    )


def write(lines: dict[str, str], order: Iterable[str], rate: float) -> None:
    """Write lines into the table, by fault name, in the given order."""
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
