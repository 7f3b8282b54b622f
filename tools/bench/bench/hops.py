"""The hops of one decision on its way to the next request, each measured alone: Kafka, commits, HTTP, WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

import asyncpg

from bench.driver.connection import Connection
from bench.driver.watcher import Watcher
from bench.system.system import System
from contracts.topics import HOUR, Topic
from messaging.admin import ensure_topics
from messaging.consumer import create_broker, subscribe_group
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord

TOPIC = Topic("bench.hops", 1, HOUR, "records of the benchmark")
TIMES = 300
_WARM_UP = 100

CROSSED = {"kafka": 4, "commit": 3, "http": 0.5, "websocket": 0.5}
"""A decision: half an HTTP exchange; commands, commit, work; the claim's commit; commands, commit, events; half a push and its echo."""


@dataclass(frozen=True)
class Hops:
    """The median of each kind of hop, in seconds."""

    kafka: float
    commit: float
    http: float
    websocket: float

    @property
    def total(self) -> float:
        """The sum over one decision."""
        return sum(float(getattr(self, name)) * times for name, times in CROSSED.items())


async def measure_hops(system: System) -> Hops:
    """Measure every kind of hop on an idle system."""
    return Hops(
        kafka=await _kafka(system.kafka.bootstrap),
        commit=await _commit(system.database_url),
        http=await _http(system.gateway_url),
        websocket=await _websocket(system.ws_url, system.key),
    )


async def _median(once: Callable[[], Awaitable[object]]) -> float:
    took: list[float] = []
    for _ in range(_WARM_UP + TIMES):
        began = time.perf_counter()
        await once()
        took.append(time.perf_counter() - began)
    return median(took[_WARM_UP:])


async def _kafka(bootstrap: str) -> float:
    """Send one record with our producer, and receive it with our reader."""
    await ensure_topics(bootstrap, topics=[TOPIC])
    broker, producer = create_broker(bootstrap, "bench"), Producer(bootstrap, "bench")
    arrived: asyncio.Queue[RawRecord] = asyncio.Queue()

    async def take(records: Sequence[RawRecord]) -> None:
        for record in records:
            arrived.put_nowait(record)

    async def hop() -> None:
        await producer.send_all([Outgoing(TOPIC.name, b"key", b"x" * 500)])
        await arrived.get()

    subscribe_group(broker, TOPIC, take, group="bench", fetch_wait_ms=500)
    await producer.start()
    await broker.start()
    try:
        return await _median(hop)
    finally:
        await broker.stop()
        await producer.stop()


async def _commit(url: str) -> float:
    """Write two events of 500 bytes in a transaction of their own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (run_id uuid, version int, record bytea)")
        insert = await connection.prepare("INSERT INTO bench_commits VALUES ($1, 1, $2), ($1, 2, $2)")
        return await _median(lambda: insert.fetch(uuid4(), b"x" * 500))
    finally:
        await connection.execute("DROP TABLE IF EXISTS bench_commits")
        await connection.close()


async def _http(url: str) -> float:
    """Ask the gateway for its liveness."""
    connection = Connection(url)
    try:
        return await _median(lambda: connection.get("/health/live"))
    finally:
        connection.close()


async def _websocket(url: str, key: str | None) -> float:
    """Send a PING and read the PONG."""
    watcher = await Watcher.open(f"{url}?run_id={uuid4()}", key)
    try:
        return await _median(watcher.echo)
    finally:
        watcher.close()
