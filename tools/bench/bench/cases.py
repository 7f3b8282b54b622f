"""The cases, one after the other on one system, each on the rows that the cases before it stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bench.backlog import decide_backlog
from bench.bare.system import BareSystem
from bench.driver.reviewers import Reviewers, Timings
from bench.floor import floor
from bench.hops import measure_hops
from bench.results import Loaded, Results, Sizes
from bench.system.gauges import rows
from bench.system.system import System

MANY = 64

Say = Callable[[str], None]


async def run_all(system: System, sizes: Sizes, say: Say) -> Results:
    """Measure every case."""
    results = Results()
    async with _reviewers(system, MANY) as many:
        say("warming up")
        results.runs += (await many.work(sizes.warm_up)).runs
        say("each hop alone")
        results.hops = await measure_hops(system)
        results.many = await _one_then_many(system, many, sizes, results, say)
        results.peaks = system.gauges().peaks()
        say(f"{sizes.waiting} runs left waiting, then all decided")
        results.waiting = await _leave_waiting(many, sizes.waiting)
        results.runs += sizes.waiting
        say(f"{sizes.more} times as many stored runs")
        results.runs += (await many.work(max(0, sizes.more * results.many.stored - results.runs))).runs
        results.more_stored = await _load(system, many, sizes.many, results)
        for count in (2, 4):
            say(f"{count} orchestrators")
            await system.scale_orchestrators(count)
            results.orchestrators[count] = await _load(system, many, sizes.many, results)
        await system.scale_orchestrators(1)
    say(f"a backlog of {sizes.backlog} commands")
    results.backlog_seconds = await decide_backlog(system, sizes.backlog)
    results.rows = await rows(system.database_url)
    return results


async def run_bare(system: BareSystem, sizes: Sizes, say: Say) -> Results:
    """Measure the bare hops as the product, after the same warm-up. Raises RowsDisagree when rows are missing."""
    results = Results()
    async with _reviewers(system, MANY) as many:
        say("the bare hops: warming up")
        results.runs += (await many.work(sizes.warm_up)).runs
        results.many = await _one_then_many(system, many, sizes, results, say)
    await system.check_rows(results.runs)
    return results


async def _one_then_many(
    system: System | BareSystem, many: Reviewers, sizes: Sizes, results: Results, say: Say
) -> Loaded:
    async with _reviewers(system, 1) as one:
        say("one reviewer")
        results.one = await _load(system, one, sizes.one, results)
    say(f"{MANY} reviewers")
    return await _load(system, many, sizes.many, results)


async def measure_floor(url: str, sizes: Sizes) -> float:
    """Measure the floor at the same concurrency."""
    return await floor(url, MANY, sizes.floor_seconds)


@asynccontextmanager
async def _reviewers(system: System | BareSystem, count: int) -> AsyncIterator[Reviewers]:
    reviewers = await Reviewers.open(system.gateway_url, system.ws_url, count, system.key)
    try:
        yield reviewers
    finally:
        reviewers.close()


async def _load(system: System | BareSystem, reviewers: Reviewers, runs: int, results: Results) -> Loaded:
    stored, gauges = results.runs, system.gauges()
    before = await gauges.read()
    timings = await reviewers.work(runs)
    results.runs += timings.runs
    return Loaded(timings, before, await gauges.read(), stored)


async def _leave_waiting(reviewers: Reviewers, count: int) -> tuple[float, float]:
    """Start runs until `count` wait, then decide all. Return how long each half took, in seconds."""
    timings, waiting, left = Timings(), list[tuple[str, Any]](), iter(range(count))
    began = time.perf_counter()

    async def start(connection: Any) -> None:
        for _ in left:
            waiting.append(await reviewers.start(connection, timings))

    async def finish(connection: Any) -> None:
        while waiting:
            await reviewers.finish(connection, *waiting.pop(), timings)

    await asyncio.gather(*map(start, reviewers.connections))
    started = time.perf_counter()
    await asyncio.gather(*map(finish, reviewers.connections))
    return started - began, time.perf_counter() - started
