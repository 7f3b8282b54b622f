"""What is measured, one case after the other on one world, each on top of what the ones before it stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg

from bench.bare.world import BareWorld
from bench.floor import floor
from bench.gauges import Reading, rows
from bench.hops import Hops
from bench.hops import measure as measure_hops
from bench.reviewers import START, Reviewers, Timings
from bench.world import World
from contracts.runs.commands import StartRun
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS
from messaging.producer import Producer
from messaging.records import Outgoing

MANY = 64
BACKLOG = 20_000
WAITING = 3_000
MORE = 10
"""How many times as many runs are stored when figures are taken again."""


@dataclass(frozen=True)
class Sizes:
    """How much work each case does."""

    warm_up: int = 8_000
    one: int = 300
    many: int = 4_000
    floor_seconds: float = 8.0
    backlog: int = BACKLOG
    waiting: int = WAITING
    more: int = MORE


QUICK = Sizes(warm_up=300, one=60, many=1_000, floor_seconds=3.0, backlog=2_000, waiting=300, more=3)


@dataclass(frozen=True)
class Loaded:
    """One measurement under load: what reviewers felt, and what it cost."""

    timings: Timings
    before: Reading
    after: Reading
    stored: int

    @property
    def cpu_ms(self) -> dict[str, float]:
        """CPU milliseconds a run, by process."""
        used = {name: self.after.cpu[name] - self.before.cpu[name] for name in self.before.cpu}
        return {name: 1000 * seconds / self.timings.runs for name, seconds in used.items()}

    def per_run(self, counter: Callable[[Reading], int]) -> float:
        """How much of a counter one run took."""
        return (counter(self.after) - counter(self.before)) / self.timings.runs


@dataclass
class Results:
    """Everything that was measured; what was not run is None."""

    floors: list[float] = field(default_factory=list)
    hops: Hops | None = None
    one: Timings | None = None
    many: Loaded | None = None
    peaks: dict[str, int] = field(default_factory=dict)
    waiting: tuple[float, float] | None = None
    more_stored: Loaded | None = None
    backlog_seconds: float | None = None
    orchestrators: dict[int, Loaded] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    runs: int = 0

    @property
    def floor(self) -> float:
        """The floor: the mean of what was measured before and after."""
        return sum(self.floors) / len(self.floors)


Say = Callable[[str], None]


async def run_all(world: World, sizes: Sizes, say: Say) -> Results:
    """Measure every case."""
    results = Results()
    async with _reviewers(world, MANY) as many:
        say("warming up")
        results.runs += (await many.work(sizes.warm_up)).runs
        say("each hop alone")
        results.hops = await measure_hops(world)
        results.many = await _one_then_many(world, many, sizes, results, say)
        results.peaks = world.gauges().peaks()
        say(f"{sizes.waiting} runs left waiting, then all decided")
        results.waiting = await _leave_waiting(many, sizes.waiting)
        results.runs += sizes.waiting
        say(f"{sizes.more} times as many stored runs")
        results.runs += (await many.work(max(0, sizes.more * results.many.stored - results.runs))).runs
        results.more_stored = await _load(world, many, sizes.many, results)
        for count in (2, 4):
            say(f"{count} orchestrators")
            await world.have_orchestrators(count)
            results.orchestrators[count] = await _load(world, many, sizes.many, results)
        await world.have_orchestrators(1)
    say(f"a backlog of {sizes.backlog} commands")
    results.backlog_seconds = await _clear_backlog(world, sizes.backlog)
    results.rows = await rows(world.database_url)
    return results


async def run_bare(world: BareWorld, sizes: Sizes, say: Say) -> Results:
    """Measure the bare hops as the product was, after the same warm-up. Raises RowsDisagree when a run is not there in whole."""
    results = Results()
    async with _reviewers(world, MANY) as many:
        say("the bare hops: warming up")
        results.runs += (await many.work(sizes.warm_up)).runs
        results.many = await _one_then_many(world, many, sizes, results, say)
    await world.check_rows(results.runs)
    return results


async def _one_then_many(world: World | BareWorld, many: Reviewers, sizes: Sizes, results: Results, say: Say) -> Loaded:
    async with _reviewers(world, 1) as one:
        say("one reviewer")
        results.one = await one.work(sizes.one)
        results.runs += results.one.runs
    say(f"{MANY} reviewers")
    return await _load(world, many, sizes.many, results)


async def measure_floor(url: str, sizes: Sizes) -> float:
    """Measure the floor at the same concurrency."""
    return await floor(url, MANY, sizes.floor_seconds)


@asynccontextmanager
async def _reviewers(world: World | BareWorld, count: int) -> AsyncIterator[Reviewers]:
    reviewers = await Reviewers.open(world.gateway_url, world.ws_url, count)
    try:
        yield reviewers
    finally:
        reviewers.close()


async def _load(world: World | BareWorld, reviewers: Reviewers, runs: int, results: Results) -> Loaded:
    stored, gauges = results.runs, world.gauges()
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


async def _clear_backlog(world: World, count: int) -> float:
    """Let commands pile up while no orchestrator runs; return how long one takes from its start until all are decided."""
    await world.services["orchestrator"].stop()
    began = await _runs(world)
    await _pile_up(world.kafka.bootstrap, count)
    clock = time.perf_counter()
    world.services["orchestrator"].start()
    while await _runs(world) < began + count:  # noqa: ASYNC110 - another process decides them
        await asyncio.sleep(0.1)
    took = time.perf_counter() - clock
    while await _pending(world) < count:  # noqa: ASYNC110 - what is measured next wants a quiet machine
        await asyncio.sleep(0.5)
    return took


async def _runs(world: World) -> int:
    return await _count(world, "SELECT count(*) FROM ledger.decisions WHERE version = 1")


async def _pending(world: World) -> int:
    return await _count(world, "SELECT count(*) FROM views.hitl_pending_approvals")


async def _count(world: World, query: str) -> int:
    connection = await asyncpg.connect(world.database_url)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def _pile_up(bootstrap: str, count: int) -> None:
    producer = Producer(bootstrap, "bench")
    await producer.start()
    request = RunRequest.model_validate(START)
    try:
        commands = (
            StartRun(command_id=uuid4(), run_id=uuid4(), at=datetime.now(UTC), request=request) for _ in range(count)
        )
        records = (
            Outgoing(COMMANDS.name, str(command.run_id).encode(), command.model_dump_json().encode())
            for command in commands
        )
        await asyncio.gather(*await producer.send_all(records))
    finally:
        await producer.stop()
