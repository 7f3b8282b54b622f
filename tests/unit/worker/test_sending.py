"""Records get to Kafka for sure, together with whatever else is due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from contracts.kafka import KafkaError, Outgoing, Producer
from provider_worker.sending import Outbox


class Recording(Producer):
    """A producer that writes down what it is handed, and refuses the first few times if told to."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__("nowhere:1", "test")
        self.handed: list[list[bytes | None]] = []
        self.refusals = refusals

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records, or raise KafkaError."""
        self.handed.append([record.value for record in records])
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if len(self.handed) <= self.refusals:
            done.set_exception(KafkaError("away"))
        else:
            done.set_result(None)
        return [done]


def _record(value: bytes) -> Outgoing:
    return Outgoing("topic", None, value)


async def test_what_is_due_at_the_same_time_leaves_together() -> None:
    """One request for all, rather than one each."""
    producer = Recording()
    outbox = Outbox(producer)
    await asyncio.gather(*(outbox.send(_record(bytes([number]))) for number in range(5)))
    await outbox.send(_record(b"later"))
    assert producer.handed == [[bytes([number]) for number in range(5)], [b"later"]]


async def test_a_record_is_sent_again_until_kafka_has_it() -> None:
    """Its sender knows nothing of it."""
    producer = Recording(refusals=2)
    await Outbox(producer).send(_record(b"kept"))
    assert producer.handed == [[b"kept"]] * 3


async def test_a_single_try_says_that_it_failed() -> None:
    """Every record of the request hears it."""
    outbox = Outbox(Recording(refusals=1))
    heard = await asyncio.gather(*(outbox.try_to_send(_record(b"x")) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in heard] == [KafkaError] * 3


async def test_a_sender_that_gives_up_takes_nobody_with_it() -> None:
    """An order that is cancelled leaves the others' records on their way."""
    producer = Recording()
    outbox = Outbox(producer)
    leaving = asyncio.create_task(outbox.send(_record(b"leaving")))
    staying = asyncio.create_task(outbox.send(_record(b"staying")))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert producer.handed == [[b"leaving", b"staying"]]
