"""Kafka killed, suspended, slowed down, and given more partitions."""

from __future__ import annotations

import asyncio

from apache_kafka.broker import RealKafka
from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage
from testkit.kafka.partitions import UNEVEN, add_partitions, partitions_of

OUTAGE_SECONDS = 4.0
SLOW_SECONDS = 12.0
FOLLOWED_SECONDS = 25.0
SUSPENDED_SECONDS, RUNNING_SECONDS = 0.20, 0.05
"""A slow Kafka is suspended for four fifths of each quarter of a second. A send takes a tenth of a second and more."""


async def killed(stage: Stage, load: Load) -> None:
    """Kill Kafka, and start it on its data after a while."""
    assert stage.kafka is not None
    stage.kafka.kill()
    await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    await stage.kafka.start()
    await load.runs_in_progress_end()


async def killed_at_once(stage: Stage, load: Load) -> None:
    """Kill Kafka and start it at once, twice: most clients notice only after the restart."""
    assert stage.kafka is not None
    for _ in range(2):
        stage.kafka.kill()
        await stage.kafka.start()
        await load.more(10)


async def hung(stage: Stage, load: Load) -> None:
    """Suspend Kafka: connections stay open and get no answer."""
    assert stage.kafka is not None
    stage.kafka.pause()
    await asyncio.sleep(OUTAGE_SECONDS)  # the outage
    stage.kafka.resume()
    await load.runs_in_progress_end()


async def slow(stage: Stage, load: Load) -> None:
    """Slow Kafka down."""
    assert stage.kafka is not None
    slowness = asyncio.create_task(_slow_down(stage.kafka))
    await asyncio.sleep(SLOW_SECONDS)  # the fault lasts
    await _end(slowness)
    await load.runs_in_progress_end()


async def slow_and_a_death(stage: Stage, load: Load) -> None:
    """Slow Kafka down, and kill the orchestrator with sends in flight and sends not begun."""
    assert stage.kafka is not None
    instance = stage.fleet["orchestrator"]
    slowness = asyncio.create_task(_slow_down(stage.kafka))
    try:
        for _ in range(2):
            await load.more(10)
            instance.process.kill()
            await stage.fleet.ready_one(instance)
    finally:
        await _end(slowness)
    await load.runs_in_progress_end()


async def more_partitions(stage: Stage, load: Load) -> None:
    """Give every topic more partitions under load, and let a gateway, a notifier and a worker that know them join those that did not."""
    before = await partitions_of(stage.bootstrap, UNEVEN)
    await add_partitions(stage.bootstrap, {topic: count + 3 for topic, count in before.items()})
    await load.more(20)
    for service in ("gateway", "notifier", "provider-worker"):
        await stage.fleet.add(service, f"{service}-2")
    await asyncio.sleep(FOLLOWED_SECONDS)  # until the first ones know them too
    await load.more(20)
    for service in ("gateway", "notifier", "provider-worker"):
        await stage.fleet.dismiss(f"{service}-2")
    await load.runs_in_progress_end()


async def _slow_down(kafka: RealKafka) -> None:
    try:
        while True:
            kafka.pause()
            await asyncio.sleep(SUSPENDED_SECONDS)  # the fault
            kafka.resume()
            await asyncio.sleep(RUNNING_SECONDS)  # the fault
    finally:
        kafka.resume()


async def _end(slowness: asyncio.Task[None]) -> None:
    slowness.cancel()
    await asyncio.wait([slowness])


KILLED = Fault(f"Kafka: SIGKILL, away for {OUTAGE_SECONDS:g} s", killed)
FAULTS = [
    KILLED,
    Fault("Kafka: SIGKILL and started at once, twice", killed_at_once),
    Fault(f"Kafka: hangs for {OUTAGE_SECONDS:g} s", hung),
    Fault(f"Kafka: slow for {SLOW_SECONDS:g} s", slow),
    Fault("Kafka: more partitions for every topic", more_partitions),
    Fault("Kafka: slow, and the orchestrator dies twice meanwhile", slow_and_a_death),
]
