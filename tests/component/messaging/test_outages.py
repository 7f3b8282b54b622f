"""Kafka goes and comes back: who asks is told in time, and nobody has to be started again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaTimeoutError
from pydantic_core import to_json

from apache_kafka.broker import RealKafka
from contracts.runs.commands import Command, parse_command
from contracts.runs.outcomes import Refused
from contracts.topics import COMMANDS
from local_stack.ports import LOOPBACK
from local_stack.wait import until
from messaging.admin import ensure_topics, log_identity
from messaging.client.slots import read_slot_maps
from messaging.consumer import create_broker
from messaging.errors import BrokerUnavailable, KafkaError
from messaging.producer import Producer
from messaging.records import Outgoing
from messaging.request_reply import RequestReply
from orchestrator.aggregate import Reply
from orchestrator.intake.records import outcome_records
from testkit.runs.command_records import cancel
from testkit.stack.orchestrators import Listener


@pytest.mark.parametrize("ask", [log_identity, ensure_topics, read_slot_maps])
async def test_what_asks_a_broker_that_does_not_answer_leaves_nothing_open(
    ask: Callable[[str], Awaitable[object]],
) -> None:
    """A service at its start asks again and again until Kafka answers."""
    with pytest.raises(KafkaError):
        await ask(f"{LOOPBACK}:1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)] == []


async def test_kafka_away_is_said_in_time_and_over_when_it_is_back(restartable_kafka: RealKafka) -> None:
    """An asker is told within its wait; what was taken arrives in the end, what could not be taken is said; then all works again."""
    producer = Producer(restartable_kafka.bootstrap, "test", give_up_seconds=1)
    broker = create_broker(restartable_kafka.bootstrap, "test")
    asker = RequestReply(broker, producer, 25)
    await producer.start()
    await broker.start()
    await asker.ready()
    await asyncio.gather(*await producer.send_all(answer(cancel(uuid4()), asker)))
    restartable_kafka.kill()
    try:
        async with asyncio.timeout(5):
            asked = await asyncio.gather(*(asker.ask(cancel(uuid4()), 0.5) for _ in range(5)), return_exceptions=True)
        assert [type(error) for error in asked] == [BrokerUnavailable] * 5
        sending = [asyncio.create_task(producer.send(*answer(cancel(uuid4()), asker))) for _ in range(5)]
        await asyncio.wait(sending, timeout=20, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await restartable_kafka.start()
    ended = await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), 20)
    assert None in ended, "what was taken arrives"
    assert all(isinstance(error, KafkaError) for error in ended if error is not None)
    for _ in range(3):
        await until(lambda: is_sent(producer, answer(cancel(uuid4()), asker)), 20, "a record is sent")
    command = cancel(uuid4())
    asking = asyncio.create_task(asker.ask(command, 20))
    await until(lambda: is_sent(producer, answer(command, asker)), 20, "the answer is sent")
    assert isinstance(await asking, Refused)
    await broker.stop()
    await producer.stop()


async def test_whoever_waited_for_a_broker_that_hung_is_served_when_it_goes_on(restartable_kafka: RealKafka) -> None:
    """Its connections stay open and nobody answers; then everybody's record arrives, once and in order, however many waited."""
    producer = Producer(restartable_kafka.bootstrap, "test", give_up_seconds=30)
    await producer.start()
    async with Listener(restartable_kafka.bootstrap, COMMANDS.dead) as listener:
        await producer.send(numbered(-1))
        restartable_kafka.pause()
        try:
            sending = [asyncio.create_task(producer.send(numbered(number))) for number in range(100)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(4):
                    await asyncio.gather(*map(asyncio.shield, sending))
        finally:
            restartable_kafka.resume()
        await asyncio.wait_for(asyncio.gather(*sending), 20)
        await until(lambda: len(listener.heard) >= 101, 10, "all records arrive")
    assert [record.value for record in listener.heard] == [b"%d" % number for number in range(-1, 100)]
    await producer.stop()


def numbered(number: int) -> Outgoing:
    """Return a record that nobody handles."""
    return Outgoing(COMMANDS.dead, b"k", b"%d" % number, [], 0)


def answer(command: Command, asker: RequestReply) -> list[Outgoing]:
    """Return the outcome of a command as the orchestrator sends it."""
    asked = parse_command(command.model_copy(update={"reply_to": asker.partition}).model_dump_json().encode())
    said = Refused(command_id=command.command_id, run_id=command.run_id, code="not_allowed", message="no")
    return list(outcome_records(asked, str(asked.run_id).encode(), Reply(to_json(said))))


async def is_sent(producer: Producer, outgoing: list[Outgoing]) -> bool:
    """Send once; tell whether Kafka took it. Fails on anything but a lack of time."""
    with contextlib.suppress(KafkaTimeoutError):
        await producer.send(*outgoing)
        return True
    return False
