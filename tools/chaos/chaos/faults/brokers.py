"""Kafka that dies, hangs, and is slow."""

from __future__ import annotations

import asyncio

from apache_kafka.broker import RealKafka
from chaos.faults import Fault
from chaos.load import Load
from chaos.stage import Stage

AWAY_SECONDS = 4.0
SLOW_SECONDS = 12.0
STANDS, RUNS = 0.20, 0.05
"""A slow Kafka: of each quarter of a second it stands still for four fifths. A send takes a tenth of a second and more."""


async def killed(stage: Stage, load: Load) -> None:
    """Kill Kafka, let everybody do without for a while, and start it on its data."""
    assert stage.kafka is not None
    stage.kafka.kill()
    await asyncio.sleep(AWAY_SECONDS)  # how long it is away
    await stage.kafka.start()
    await load.begun_before_end()


async def killed_at_once(stage: Stage, load: Load) -> None:
    """Kill Kafka and start it at once, twice: most connections find out when it is there again."""
    assert stage.kafka is not None
    for _ in range(2):
        stage.kafka.kill()
        await stage.kafka.start()
        await load.more(10)


async def hung(stage: Stage, load: Load) -> None:
    """Let Kafka stand still: connections stay open, and nobody answers."""
    assert stage.kafka is not None
    stage.kafka.pause()
    await asyncio.sleep(AWAY_SECONDS)  # how long it hangs
    stage.kafka.resume()
    await load.begun_before_end()


async def slow(stage: Stage, load: Load) -> None:
    """Let Kafka answer late, all the time."""
    assert stage.kafka is not None
    slowness = asyncio.create_task(_be_slow(stage.kafka))
    await asyncio.sleep(SLOW_SECONDS)  # how long it is slow
    await _be_quick(slowness)
    await load.begun_before_end()


async def slow_and_a_death(stage: Stage, load: Load) -> None:
    """Let Kafka answer late, and the orchestrator die with sends on their way and sends not begun."""
    assert stage.kafka is not None
    instance = stage.fleet["orchestrator"]
    slowness = asyncio.create_task(_be_slow(stage.kafka))
    try:
        for _ in range(2):
            await load.more(10)
            instance.process.kill()
            await stage.fleet.ready_one(instance)
    finally:
        await _be_quick(slowness)
    await load.begun_before_end()


async def _be_slow(kafka: RealKafka) -> None:
    try:
        while True:
            kafka.pause()
            await asyncio.sleep(STANDS)  # how slow it is
            kafka.resume()
            await asyncio.sleep(RUNS)  # the same
    finally:
        kafka.resume()


async def _be_quick(slowness: asyncio.Task[None]) -> None:
    slowness.cancel()
    await asyncio.wait([slowness])


KILLED = Fault(f"Kafka: SIGKILL, away for {AWAY_SECONDS:g} s", killed)
FAULTS = [
    KILLED,
    Fault("Kafka: SIGKILL and started at once, twice", killed_at_once),
    Fault(f"Kafka: hangs for {AWAY_SECONDS:g} s", hung),
    Fault(f"Kafka: slow for {SLOW_SECONDS:g} s", slow),
    Fault("Kafka: slow, and the orchestrator dies twice meanwhile", slow_and_a_death),
]
