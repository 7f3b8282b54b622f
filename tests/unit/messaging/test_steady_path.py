"""Requests of ours on the library's connections: cut out of what arrives however it is split, and failed as the library fails its own."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.fetch import FetchResponse_v4
from aiokafka.protocol.produce import ProduceResponse_v3
from hypothesis import given
from hypothesis import strategies as st

from messaging.aiokafka_internals import fetcher, sender
from messaging.aiokafka_internals.connection import Connection, head

from .library_connection import Client, LibraryConnection, frame, taken

names, numbers, long = st.from_regex(r"[a-z.]{1,20}", fullmatch=True), st.integers(0, 2**31 - 1), st.integers(0, 2**62)
fetched = st.tuples(
    *(numbers, st.integers(-1, 99), long, st.integers(-1, 2**62)),
    st.none() | st.lists(st.tuples(long, long), max_size=3),
    st.none() | st.binary(max_size=60),
)
written = st.tuples(numbers, st.integers(-1, 99), long, st.integers(-1, 2**62))


def topics_of(parts: Any) -> Any:
    """Return a strategy of answers about several topics."""
    return st.lists(st.tuples(names, st.lists(parts, max_size=4)), max_size=4)


@given(topics_of(fetched))
def test_answers_to_a_fetch_are_read_as_the_library_writes_them(topics: Any) -> None:
    """Its own schema of that version, with whatever aborted transactions stand before the records."""
    answer = b"\x00" * 8 + FetchResponse_v4(0, topics).encode()
    assert [*fetcher._read(answer, 8)] == [
        ((topic.encode(), number), code, watermark, stable, records or b"")
        for topic, parts in topics
        for number, code, watermark, stable, _, records in parts
    ]


@given(topics_of(written))
def test_answers_to_a_produce_request_are_read_as_the_library_writes_them(topics: Any) -> None:
    """The error code of each partition."""
    answer = b"\x00" * 8 + ProduceResponse_v3(topics, 0).encode()
    assert [*sender._read(answer, 8)] == [
        ((topic.encode(), number), code) for topic, parts in topics for number, code, *_ in parts
    ]


Answers = list[tuple[bytes, KafkaError | None]]


def ask(connection: Connection, answers: Answers) -> None:
    """Send a request; its answer is kept."""
    connection.ask(
        head(Client(LibraryConnection()), 1, 4), lambda answer, begin, error: answers.append((answer[begin:], error))
    )


@given(cuts=st.lists(st.integers(0, 200), max_size=6), kinds=st.lists(st.booleans(), min_size=1, max_size=6))
async def test_however_the_answers_are_split_each_goes_to_who_asked(cuts: Sequence[int], kinds: Sequence[bool]) -> None:
    """In the order of the requests, the library's among them."""
    conn, answers = LibraryConnection(), Answers()
    connection = taken(conn)
    for is_ours in kinds:
        if is_ours:
            ask(connection, answers)
        else:
            conn.ask_as_the_library()
    arriving = b"".join(frame(number, b"x" * 9 * number) for number in range(1, len(kinds) + 1))
    edges = [0, *sorted(min(cut, len(arriving)) for cut in cuts), len(arriving)]
    for begin, end in pairwise(edges):
        connection.data_received(arriving[begin:end])
    expected = [(b"x" * 9 * number, None) for number, is_ours in enumerate(kinds, 1) if is_ours]
    assert (answers, len(conn.handled), conn.closed) == (expected, len(kinds) - len(expected), [])


async def test_a_connection_in_use_is_left_as_it_is() -> None:
    """The library's reader may have half of an answer: it is taken over when nothing is on its way."""
    conn = LibraryConnection()
    conn.ask_as_the_library()
    assert Connection.to(Client(conn), 7) is None
    conn._handle_frame(b"")
    connection = taken(conn)
    assert conn._read_task.cancelled()
    assert Connection.to(Client(conn), 7) is connection
    assert (connection.speaks(1, 4), connection.speaks(1, 3), connection.speaks(0, 3)) == (True, False, False)


@pytest.mark.parametrize("how", ["lost", "out of sync", "unasked"])
async def test_whoever_was_not_answered_is_told_that_the_connection_is_gone(how: str) -> None:
    """Once, and not in the middle of the closing; later requests are told the same."""
    conn, answers = LibraryConnection(), Answers()
    connection = taken(conn)
    ask(connection, answers)
    ask(connection, answers)
    match how:
        case "lost":
            connection.connection_lost(ConnectionResetError())
        case "out of sync":
            connection.data_received(frame(2))
        case _:
            connection.data_received(frame(1) + frame(2) + frame(3))
    given_up = 0 if how == "unasked" else 2
    assert len([error for _, error in answers if error]) == 0
    await asyncio.sleep(0)
    assert [type(error) for _, error in answers if error] == [KafkaConnectionError] * given_up
    reason = CloseReason.CONNECTION_BROKEN if how == "lost" else CloseReason.OUT_OF_SYNC
    assert conn.closed == [reason]
    ask(connection, answers)
    await asyncio.sleep(0)
    assert isinstance(answers[-1][1], KafkaConnectionError)


async def test_a_length_that_no_answer_has_ends_the_connection() -> None:
    """Whatever speaks there is no Kafka; nothing is read for ever."""
    conn = LibraryConnection()
    connection = taken(conn)
    ask(connection, [])
    connection.data_received(struct.pack(">i", -4) + frame(1))
    assert conn.closed == [CloseReason.OUT_OF_SYNC]


class Library:
    """What a sender uses of a producer of the library, with two brokers: 7 is connected, 8 is not."""

    def __init__(self, conn: LibraryConnection) -> None:
        conn._versions = {0: (3, 11)}
        self.client = Client(conn)
        self.client.cluster = self.cluster = self  # type: ignore[attr-defined]
        self._txn_manager = TransactionManager(None, 60_000)
        self._txn_manager.set_pid_and_epoch(5, 0)
        self._message_accumulator = MessageAccumulator(
            self, 10**6, 0, 60, txn_manager=self._txn_manager, loop=asyncio.get_running_loop()
        )
        self._sender, self._request_timeout_ms, self._closed = self, 1000, False
        self.leaders = {0: 7, 1: 7, 2: 8}

    def leader_for_partition(self, place: TopicPartition) -> int:
        """Return the leader."""
        return self.leaders[place.partition]

    def batch(self, value: bytes) -> BatchBuilder:
        """Make a batch of one record."""
        batch = self._message_accumulator.create_builder()
        assert batch.append(timestamp=0, key=None, value=value) is not None
        return batch


def produced(*codes: tuple[int, int]) -> bytes:
    """Return the answer to a produce request for partitions of topic `t`: each with its error code."""
    return bytes(ProduceResponse_v3([("t", [(number, code, 9, -1) for number, code in codes])], 0).encode())


Ends = list[tuple[int, BaseException | None]]


def sending() -> tuple[LibraryConnection, Library, sender.SteadySender, Ends]:
    """Return a sender with the producer and the connection that it uses, and the place where batches end."""
    conn = LibraryConnection()
    library = Library(conn)
    return conn, library, sender.SteadySender(library, is_steady=True), Ends()


def send(steady: sender.SteadySender, library: Library, ends: Ends, *partitions: int) -> None:
    """Send a batch to each partition."""
    for number in partitions:
        steady.send(library.batch(b"x"), TopicPartition("t", number), partial(_keep, ends, number))


def _keep(ends: Ends, number: int, error: BaseException | None) -> None:
    ends.append((number, error))


async def test_what_comes_while_a_request_is_on_its_way_goes_together_with_the_next() -> None:
    """A broker takes one request after the other; a partition of another broker does not wait for it."""
    conn, library, steady, ends = sending()
    send(steady, library, ends, 0)
    await asyncio.sleep(0)
    send(steady, library, ends, 1)
    send(steady, library, ends, 2)
    await asyncio.sleep(0)
    assert len(conn.written) == 1
    assert [*library._message_accumulator._batches] == [TopicPartition("t", 2)], "the library connects to broker 8"
    conn.protocol.data_received(frame(1, produced((0, 0))))
    assert (ends, len(conn.written)) == ([(0, None)], 2)
    conn.protocol.data_received(frame(2, produced((1, 46))))
    assert ends == [(0, None), (1, None)], "written before is written"


@pytest.mark.parametrize("how", ["lost", "moved"])
async def test_a_batch_that_was_not_acknowledged_keeps_its_number_and_its_bytes(how: str) -> None:
    """The library sends it again: whichever broker has it already writes it once."""
    conn, library, steady, ends = sending()
    send(steady, library, ends, 0, 1)
    await asyncio.sleep(0)
    if how == "lost":
        conn.protocol.connection_lost(None)
        await asyncio.sleep(0)
    else:
        conn.protocol.data_received(frame(1, produced((0, 6), (1, 0))))
    accumulator, left = library._message_accumulator, TopicPartition("t", 0)
    (queued,) = accumulator._batches[left]
    body = queued.get_data_buffer()
    nodes, _ = accumulator.drain_by_nodes(set())
    assert nodes[7][left].get_data_buffer() == body
    assert bytes(body) in conn.written[0]
    assert library._txn_manager.sequence_number(left) == 1, "its number was taken once"
    queued.done(0)
    await asyncio.sleep(0)
    assert (0, None) in ends
    assert accumulator._pending_batches == ({nodes[7][TopicPartition("t", 1)]} if how == "lost" else set())


async def test_a_closed_producer_takes_nothing_and_leaves_nothing_waiting() -> None:
    """What was handed over and what is on its way ends with an error."""
    conn, library, steady, ends = sending()
    send(steady, library, ends, 0)
    await asyncio.sleep(0)
    send(steady, library, ends, 1)
    library._closed = library._message_accumulator._closed = True
    conn.protocol.connection_lost(None)
    await asyncio.sleep(0.01)
    assert [type(error) for _, error in ends] == [ProducerClosed] * 2
    with pytest.raises(ProducerClosed):
        send(steady, library, ends, 0)


async def test_a_broker_that_says_nothing_is_given_up() -> None:
    """Like a request of the library, and one timer serves all requests."""
    conn, answers = LibraryConnection(timeout=0.05), Answers()
    connection = taken(conn)
    ask(connection, answers)
    connection.data_received(frame(1))
    ask(connection, answers)
    await asyncio.sleep(0.2)
    assert conn.closed == [CloseReason.CONNECTION_TIMEOUT]
    assert [type(error) for _, error in answers] == [type(None), KafkaConnectionError]
