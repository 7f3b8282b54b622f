"""`make soak`: steady load for a long time; memory, file descriptors and database connections of each service stay flat.

`python -m chaos.soak --minutes 30`. Samples every 10 s; prints the table and writes it to `SOAK.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from apache_kafka.artifacts import version
from chaos.clients.load import Load
from chaos.system.stage import RATE, Stage, real_stage
from chaos.verdict.count import SETTLE_SECONDS
from chaos.verdict.views import versions_of, views_differ

SOAK = Path(__file__).parents[1] / "SOAK.md"
SAMPLE_SECONDS = 10.0
SHIFT_SECONDS = 60.0
"""The load is replaced every minute, so that no client remembers half an hour."""

WARM_UP = 0.1
"""The part of the samples that is skipped while caches fill and connections open."""

_HEAD = """# A long time under load

Made by `make soak` ({minutes:g} minutes) on {cores} cores and {memory} GB, Apache Kafka {kafka} and PostgreSQL 18 with fsync on,
at {rate:g} runs a second: {runs:,} runs, of which {wrong} did not end as they were decided; the read model differs from one rebuilt
from the topic in {differs} rows.

Start, middle and end are medians of a tenth of the samples, taken every {every:g} s after a tenth of the time. The slope is
that of the straight line through the second half.

| service | measure | start | middle | end | slope an hour |
|---|---|---:|---:|---:|---:|
"""


@dataclass(frozen=True)
class Sample:
    """The resources of a service at one time."""

    at: float
    memory: float
    """MB that no other process shares."""
    descriptors: float
    connections: float
    """To PostgreSQL."""


def sample(stage: Stage, service: str) -> Sample:
    """Take a sample of a service's process."""
    process, database = psutil.Process(stage.fleet[service].process.pid), urlsplit(stage.proxy.url).port
    to_database = [
        open_
        for open_ in process.net_connections("tcp")
        if open_.raddr and open_.raddr.port == database and open_.status == psutil.CONN_ESTABLISHED
    ]
    memory = process.memory_info().rss / 1e6
    return Sample(time.monotonic(), memory, process.num_fds(), len(to_database))


async def soak(minutes: float, folder: Path) -> str:
    """Return the table."""
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    async with real_stage(folder) as stage:
        sampling = asyncio.create_task(_sample(stage, samples))
        until, shifts = time.monotonic() + minutes * 60, list[asyncio.Task[Load]]()
        while (left := until - time.monotonic()) > 0:
            load = stage.load()
            async with load:
                await asyncio.sleep(min(SHIFT_SECONDS, left))  # the length of a shift
            shifts.append(asyncio.create_task(_settle(load)))
        loads = await asyncio.gather(*shifts)
        sampling.cancel()
        differs = await views_differ(stage, await versions_of(stage))
    head = _HEAD.format(
        minutes=minutes,
        cores=os.cpu_count(),
        memory=round(psutil.virtual_memory().total / 2**30),
        kafka=version(),
        rate=RATE,
        runs=sum(len(load.stories) for load in loads),
        wrong=sum(story.state not in story.ends for load in loads for story in load.stories),
        differs=len(differs),
        every=SAMPLE_SECONDS,
    )
    return head + "".join(_line(service, name, of) for service, of in samples.items() for name in _MEASURES)


_MEASURES = {"memory": "memory, MB", "descriptors": "file descriptors", "connections": "connections to PostgreSQL"}


def _line(service: str, name: str, samples: Sequence[Sample]) -> str:
    """Return the line of one measure of one service."""
    kept = samples[int(len(samples) * WARM_UP) :]
    tenth, values = max(1, len(kept) // 10), [getattr(one, name) for one in kept]
    middle = len(values) // 2
    shown = [values[:tenth], values[middle : middle + tenth], values[-tenth:]]
    late = kept[middle:]
    slope = statistics.linear_regression([one.at for one in late], values[middle:]).slope * 3600 if len(late) > 1 else 0
    numbers = " | ".join(f"{statistics.median(part):.1f}" for part in shown)
    return f"| {service} | {_MEASURES[name]} | {numbers} | {slope:+.1f} |\n"


async def _sample(stage: Stage, samples: defaultdict[str, list[Sample]]) -> None:
    while True:
        for instance in stage.fleet:
            samples[instance.name].append(sample(stage, instance.name))
        await asyncio.sleep(SAMPLE_SECONDS)


async def _settle(load: Load) -> Load:
    await load.settle(SETTLE_SECONDS)
    for story in load.stories:
        story.requests.clear()
    return load


def main() -> None:
    """Run the load, print the table and write it."""
    parser = argparse.ArgumentParser(description="Steady load for a long time.")
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        table = asyncio.run(soak(minutes, Path(folder)))
    SOAK.write_text(table)
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
