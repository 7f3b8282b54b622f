"""A stop ends whatever it began, also where Kafka answers nothing: a task or a connection that stays would read and retry on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from apache_kafka.broker import RealKafka
from chassis.background import briefly
from contracts.topics import COMMANDS, EVENTS, WORK
from local_stack.ports import LOOPBACK
from local_stack.wait import until
from messaging.consumer import create_broker, subscribe_broadcast, subscribe_group
from messaging.errors import KafkaError
from messaging.producer import SETTLE_SECONDS, STOP_SECONDS, Producer
from messaging.records import Outgoing, RawRecord

SILENCE = pytest.mark.parametrize("silence", [RealKafka.pause, RealKafka.kill], ids=["it hangs", "it is gone"])
Silence = Callable[[RealKafka], None]


async def nothing(_: Sequence[RawRecord]) -> None:
    """Take records."""


async def ends(before: set[asyncio.Task[object]]) -> None:
    """Return when no task is at work beside those of before and this one."""

    def left() -> set[asyncio.Task[object]]:
        return {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}

    try:
        await until(lambda: not left(), 2, "nothing is at work")
    finally:
        assert left() == set()


async def while_silent(kafka: RealKafka, silence: Silence, stop: Callable[[], Awaitable[None]]) -> None:
    """Stop while Kafka answers nothing; let it answer again afterwards."""
    silence(kafka)
    try:
        await asyncio.sleep(0.5)  # fetches fail, and wait for their next try
        await stop()
    finally:
        kafka.resume() if silence is RealKafka.pause else await kafka.start()


@SILENCE
@pytest.mark.parametrize("steady_path", [True, False], ids=["steady", "the library's"])
async def test_readers_leave_nothing_behind_without_kafka(
    restartable_kafka: RealKafka, silence: Silence, *, steady_path: bool
) -> None:
    """A member of a group and a reader outside any; the stop takes no longer than it may."""
    before = asyncio.all_tasks()
    broker = create_broker(restartable_kafka.bootstrap, "test", steady_path=steady_path)
    subscribe_group(broker, WORK, nothing, group="shutdown", fetch_wait_ms=25)
    subscribe_broadcast(broker, EVENTS, nothing, fetch_wait_ms=25)
    await broker.start()

    async def stop() -> None:
        await briefly(broker.stop(), 1.0)
        await ends(before)

    await while_silent(restartable_kafka, silence, stop)


@SILENCE
async def test_a_producer_leaves_nothing_behind_without_kafka(restartable_kafka: RealKafka, silence: Silence) -> None:
    """With records in flight, whose senders are told that they have not arrived."""
    before = asyncio.all_tasks()
    producer = Producer(restartable_kafka.bootstrap, "test")
    await producer.start()
    await producer.send(numbered(0))

    async def stop() -> None:
        sent = [one for number in range(3) for one in await producer.send_all([numbered(number)])]
        async with asyncio.timeout(SETTLE_SECONDS + STOP_SECONDS + 1):
            await producer.stop()
        told = await asyncio.gather(*sent, return_exceptions=True)
        assert all(isinstance(error, KafkaError) for error in told)
        await ends(before)

    await while_silent(restartable_kafka, silence, stop)


async def test_a_reader_that_cannot_be_started_leaves_nothing_behind() -> None:
    """A service tries again and again until Kafka answers, and the last try alone reads."""
    before = asyncio.all_tasks()
    broker = create_broker(f"{LOOPBACK}:1", "test")
    subscribe_broadcast(broker, EVENTS, nothing, fetch_wait_ms=25)
    for _ in range(2):
        with pytest.raises(KafkaError):
            await broker.start()
        await ends(before)


def numbered(number: int) -> Outgoing:
    """Return a record that nobody handles."""
    return Outgoing(COMMANDS.dead, b"k", b"%d" % number, [], 0)
