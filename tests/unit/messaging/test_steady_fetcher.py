"""Fetching in callbacks, without a broker: what is asked, what of an answer counts, and when the library is left alone."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.fetch import FetchRequest_v4, FetchResponse_v4
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from messaging.aiokafka_internals import fetcher as module
from messaging.aiokafka_internals.consumer import _PartitionBuffers
from messaging.aiokafka_internals.fetcher import IDLE_WAIT_MS, SteadyFetcher

from .library_connection import Client, LibraryConnection, frame

WAIT_MS = 25
PLACES = [TopicPartition("t", number) for number in range(2)]


class Reader:
    """A fetcher of two partitions that broker 7 leads, on a connection that keeps what is sent."""

    def __init__(self) -> None:
        self.conn = LibraryConnection()
        self.leaders = dict.fromkeys(PLACES, 7)
        client: Any = Client(self.conn)
        client.cluster, client._loop, client._metadata_max_age_ms = self, asyncio.get_running_loop(), 300_000
        self._client = client
        self._subscriptions = SubscriptionState()
        self._subscriptions.assign_from_user(PLACES)
        self.assignment = self._subscriptions.subscription.assignment
        for place in PLACES:
            self.assignment.state_value(place).reset_to(5)
        self._fetcher = self.fetcher = Fetcher(client, self._subscriptions, fetch_max_wait_ms=WAIT_MS)
        self.fetcher._records = _PartitionBuffers(client, _as_the_library)
        SteadyFetcher.take_over(self)

    def add_listener(self, _: object) -> None:
        """Tell nobody of new leaders."""

    def leader_for_partition(self, place: TopicPartition) -> int:
        """Return the leader."""
        return self.leaders[place]

    def ask(self) -> bool:
        """Have what is to be asked on its way; return whether all is steady."""
        _, _, _, is_left, _ = self.fetcher._get_actions_per_node(self.assignment)
        return not is_left and bool(self.fetcher._flights)

    def asked(self) -> Any:
        """Return the last request, as the library's own schema reads it."""
        request = self.conn.written[-1]
        return FetchRequest_v4.SCHEMA.decode(_Bytes(request[4 + struct.calcsize(">hhih") + len("test") :]))

    def answer(self, *values: tuple[int, int, bytes]) -> None:
        """Answer the last request, with the partition, the error and the value of a record at offset 5 of each."""
        parts = [(number, code, 6, 6, None, _batch(value) if value else b"") for number, code, value in values]
        self.conn.protocol.data_received(frame(self.conn._number, FetchResponse_v4(0, [("t", parts)]).encode()))

    def read(self) -> list[tuple[int, bytes]]:
        """Return what has arrived."""
        return [(record.partition, record.value) for record in self.fetcher.drain(10)]


def _as_the_library(_: TopicPartition, records: PartitionRecords, __: bytes | None) -> Iterator[Any]:
    read: Iterator[Any] = records._records_iterator
    return read


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]


def _batch(value: bytes) -> bytes:
    built = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10**6)
    built.append(0, 0, None, value, [])
    body = bytearray(built.build())
    struct.pack_into(">q", body, 0, 5)  # the base offset stands before what the checksum covers
    return bytes(body)


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Reader]:
    """Give a reader whose broker is asked by hand."""
    made = Reader()
    made.fetcher._fetch_task.cancel()
    yield made
    await made.fetcher.close()


async def test_what_was_read_is_asked_for_no_more(reader: Reader) -> None:
    """Each partition from its own position on, as soon as its records are taken."""
    assert reader.ask()
    reader.answer((0, 0, b"one"))
    assert len(reader.conn.written) == 1, "nothing is asked while records wait to be taken"
    assert reader.read() == [(0, b"one")]
    positions = {part: offset for _, parts in reader.asked()[-1] for part, offset, _ in parts}
    assert (len(reader.conn.written), positions) == (2, {0: 6, 1: 5})


async def test_an_answer_of_a_former_leader_is_passed_over(reader: Reader) -> None:
    """Whatever it says of the partition, an error too: its new leader is asked. Its other partitions count."""
    assert reader.ask()
    reader.leaders[PLACES[0]] = 8
    reader.answer((0, 1, b""), (1, 0, b"two"))
    assert reader.read() == [(1, b"two")]
    assert reader.assignment.state_value(PLACES[0]).position == 5
    assert reader.fetcher._left_until == 0.0, "an error of a broker that is asked no more is nothing unusual"


async def test_a_partition_that_was_sought_elsewhere_keeps_its_place(reader: Reader) -> None:
    """The answer to what was asked before is not what is wanted now."""
    assert reader.ask()
    reader.assignment.state_value(PLACES[0]).seek(2)
    reader.answer((0, 0, b"old"))
    assert reader.read() == []
    positions = {part: offset for _, parts in reader.asked()[-1] for part, offset, _ in parts}
    assert positions == {0: 2, 1: 5}


async def test_an_error_is_left_to_the_library_for_a_while(reader: Reader) -> None:
    """With what else came in the same answer."""
    assert reader.ask()
    reader.answer((0, 1, b""), (1, 0, b"two"))
    assert reader.read() == [(1, b"two")]
    assert len(reader.conn.written) == 1
    assert not reader.ask()


async def test_a_broker_may_wait_longer_where_nothing_comes(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without records, until the next one."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    reader.fetcher._idle_from = now[0] + module.IDLE_SECONDS
    assert reader.ask()
    assert reader.asked()[1] == WAIT_MS
    now[0] += module.IDLE_SECONDS
    reader.answer()
    assert reader.asked()[1] == IDLE_WAIT_MS
    reader.answer((0, 0, b"one"))
    assert reader.read() == [(0, b"one")]
    assert reader.asked()[1] == WAIT_MS
