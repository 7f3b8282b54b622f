"""Records delivered twice, late and in another order, as Kafka, a retrying producer or an operator may do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from aiokafka import ConsumerRecord

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, WORK
from messaging.producer import Producer
from messaging.records import Outgoing
from testkit.stack.orchestrators import Listener

_COPY = ("copied", b"yes")
TOPICS = (COMMANDS.name, WORK.name, EVENTS.name, OUTCOMES.name)
SECONDS = 10.0

Order = Callable[[Sequence[ConsumerRecord]], Sequence[ConsumerRecord]]


async def twice_at_once(stage: Stage, load: Load) -> None:
    """Write every record of every topic a second time at once."""
    async with Listener(stage.bootstrap, *TOPICS) as listener:
        read = 0
        ends = asyncio.get_running_loop().time() + SECONDS
        while asyncio.get_running_loop().time() < ends:
            fresh, read = listener.heard[read:], len(listener.heard)
            await write_again(stage.bootstrap, fresh)
            await asyncio.sleep(0.05)  # the delay of the copies
    assert read > len(load.over)
    await load.runs_in_progress_end()


def late(name: str, order: Order) -> Fault:
    """Write a series of records a second time, after their runs have ended."""

    async def inject(stage: Stage, load: Load) -> None:
        async with Listener(stage.bootstrap, *TOPICS) as listener:
            await load.more(40)
            await load.runs_in_progress_end()
            heard = list(listener.heard)
        # Some records are of runs that have ended, some of runs in progress.
        await write_again(stage.bootstrap, order(heard))
        await load.runs_in_progress_end()

    return Fault(name, inject)


async def write_again(bootstrap: str, records: Sequence[ConsumerRecord]) -> None:
    """Write copies of records to the same partitions; copies are not copied again."""
    producer = Producer(bootstrap, "chaos")
    await producer.start()
    try:
        copies = [
            Outgoing(record.topic, record.key, record.value, [*record.headers, _COPY], record.partition)
            for record in records
            if _COPY not in record.headers
        ]
        for sent in await producer.send_all(copies):
            await sent
    finally:
        await producer.stop()


def _shuffled(records: Sequence[ConsumerRecord]) -> Sequence[ConsumerRecord]:
    return random.Random(4).sample(records, len(records))  # noqa: S311 - the same order each time


FAULTS = [
    Fault("deliveries: everything twice at once", twice_at_once),
    late("deliveries: everything again, later, in order", lambda records: records),
    late("deliveries: everything again, later, backwards", lambda records: records[::-1]),
    late("deliveries: everything again, later, shuffled", _shuffled),
]
