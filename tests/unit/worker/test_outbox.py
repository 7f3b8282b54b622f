"""Records get to Kafka for sure, and none is in the way of another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from messaging.errors import KafkaError
from messaging.producer import Producer
from messaging.records import Outgoing
from provider_worker.adapters.kafka.outbox import Outbox


class Recording(Producer):
    """A producer that records its sends, and refuses the first few, or a given value."""

    def __init__(self, refusals: int = 0, refused: bytes | None = None) -> None:
        super().__init__("nowhere:1", "test")
        self.handed: list[bytes | None] = []
        self.refusals = refusals
        self.refused = refused

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records, or raise KafkaError."""
        values = [record.value for record in records]
        self.handed += values
        refused = len(self.handed) <= self.refusals or self.refused in values
        return [asyncio.ensure_future(self._answer(refused=refused))]

    async def _answer(self, *, refused: bool) -> None:
        await asyncio.sleep(0)
        if refused:
            raise KafkaError("away")


def _record(value: bytes) -> Outgoing:
    return Outgoing("topic", None, value)


async def test_a_record_that_kafka_refuses_is_in_no_other_s_way() -> None:
    """Only its own sender hears of it."""
    outbox = Outbox(Recording(refused=b"bad"))
    sends = (outbox.try_to_send(_record(value)) for value in (b"one", b"bad", b"two"))
    heard = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(told) for told in heard] == [type(None), KafkaError, type(None)]


async def test_a_record_is_sent_again_until_kafka_has_it() -> None:
    """Its sender knows nothing of it."""
    producer = Recording(refusals=2)
    await Outbox(producer).send(_record(b"kept"))
    assert producer.handed == [b"kept"] * 3


async def test_a_single_try_says_that_it_failed() -> None:
    """It is not made again behind its sender's back."""
    producer = Recording(refusals=1)
    with pytest.raises(KafkaError):
        await Outbox(producer).try_to_send(_record(b"once"))
    assert producer.handed == [b"once"]


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
    assert producer.handed == [b"leaving", b"staying"]
