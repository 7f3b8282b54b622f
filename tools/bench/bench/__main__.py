"""`make bench`: measure everything and write `tools/bench/RESULTS.md`. Needs Java with Maven for Apache Kafka."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from apache_kafka.artifacts import Unavailable, version
from bench.bare.system import running_bare_system
from bench.cases import measure_floor, run_all, run_bare
from bench.idle import measure_idle
from bench.interpreter import interpreter
from bench.report import page
from bench.results import QUICK, Sizes
from bench.system.system import running_system

RESULTS = Path(__file__).parents[1] / "RESULTS.md"


def main(arguments: list[str]) -> int:
    """Run the benchmark. Return 1 when there is no Kafka to run it on."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="less of everything, and print the page in place of writing it"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep data and logs of everything in FOLDER")
    chosen = parser.parse_args(arguments)
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="sayso-bench-"))
    try:
        text = asyncio.run(_measure(folder, QUICK if chosen.quick else Sizes(), quick=chosen.quick))
    except Unavailable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if not chosen.quick:
        RESULTS.write_text(text)
    print(text)
    return 0


async def _measure(folder: Path, sizes: Sizes, *, quick: bool) -> str:
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    say(interpreter())
    say("starting PostgreSQL, Apache Kafka and the services")
    async with running_system(folder) as running:
        say("the floor")
        before = await measure_floor(running.postgres.url(), sizes)
        results = await run_all(running, sizes, say)
        say("the floor again")
        results.floors = [before, await measure_floor(running.postgres.url(), sizes)]
        postgres = await _postgres_version(running.postgres.url())
    say("starting the bare hops; everything else has ended")
    async with running_bare_system(folder / "bare") as hops:
        bare = await run_bare(hops, sizes, say)
    say("the embedded stack while nothing happens")
    results.idle = await measure_idle(folder, sizes.idle_seconds)
    command = "make bench QUICK=1" if quick else "make bench"
    return page(results, bare, command, f"Apache Kafka {version()}", postgres)


async def _postgres_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return f"PostgreSQL {await connection.fetchval('SHOW server_version')}"
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
