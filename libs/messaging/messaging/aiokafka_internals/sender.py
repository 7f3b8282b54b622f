"""Producing in callbacks: the steady case of aiokafka's sender, and only that.

Steady is: the producer has its id, the partition has a leader, and the connection to it is open. Then what all partitions hand over in
one turn of the loop goes out as one request a broker, and each answer is a call. Whatever else happens to a batch, a lost connection, a
moved leader, an error, is left to the library's routine, with the same bytes and the same sequence number: a broker writes them once.
"""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import DuplicateSequenceNumber, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from messaging.aiokafka_internals.connection import INT32, Connection, head, topic_at
from messaging.aiokafka_internals.metrics import LEFT_TO_LIBRARY
from messaging.aiokafka_internals.producer import check_open, enqueue_batch

PRODUCE, VERSION = 0, 3
"""The request and the version of it that is written here. It has all that is needed, and brokers from 0.11 on know it."""

REQUEST_BYTES = 8 * 1024 * 1024
"""Batches of one request, at most: brokers refuse requests of 100 MB as they come."""

_LIMITS = struct.Struct(">hhi")
_ANSWERED = struct.Struct(">ihqq")  # partition, error, offset, time
_WRITTEN = frozenset({0, DuplicateSequenceNumber.errno})

Ended = Callable[[BaseException | None], None]
"""Called when all replicas have a batch, or with the error. Must not raise."""

_log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    builder: BatchBuilder
    place: TopicPartition
    ended: Ended


class SteadySender:
    """Sends batches, of each partition one at a time."""

    def __init__(self, producer: AIOKafkaProducer, *, is_steady: bool) -> None:
        self._producer = producer
        self._is_steady = is_steady
        self._handed: list[_Batch] = []
        self._asked: set[int] = set()
        self._flushes_soon = False

    def send(self, builder: BatchBuilder, place: TopicPartition, ended: Ended) -> None:
        """Send a batch of a partition that has none on its way. Raises KafkaError if the producer is closed or cannot go on."""
        check_open(self._producer)
        batch = _Batch(builder, place, ended)
        if not self._is_steady:
            self._leave(batch)
            return
        self._handed.append(batch)
        if not self._flushes_soon:
            self._flushes_soon = True  # not at once: other partitions hand over in this turn too
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushes_soon = False
        handed, self._handed = self._handed, []
        led: dict[int, list[_Batch]] = {}
        for batch in handed:
            led.setdefault(self._producer.client.cluster.leader_for_partition(batch.place), []).append(batch)
        for node_id, batches in led.items():
            if node_id in self._asked:  # a broker takes one request after the other: what comes meanwhile goes together
                self._handed += batches
            elif (connection := self._connection(node_id)) is None:
                for batch in batches:
                    self._leave(batch, "connection")
            else:
                fitting = _fitting(batches)
                self._handed += batches[fitting:]
                self._send(connection, node_id, batches[:fitting])

    def _connection(self, node_id: int | None) -> Connection | None:
        producer = self._producer
        if node_id is None or producer._closed or not producer._txn_manager.has_pid():
            return None
        connection = Connection.to(producer.client, node_id)
        return connection if connection is not None and connection.speaks(PRODUCE, VERSION) else None

    def _send(self, connection: Connection, node_id: int, batches: Sequence[_Batch]) -> None:
        state = self._producer._txn_manager
        topics: dict[bytes, list[tuple[int, bytes]]] = {}
        for builder, place, _ in batches:
            sequence = state.sequence_number(place)
            state.increment_sequence_number(place, builder.record_count())
            builder._set_producer_state(state.producer_id, state.producer_epoch, sequence)
            topics.setdefault(place.topic.encode(), []).append((place.partition, builder._build()))
        request = head(self._producer.client, PRODUCE, VERSION)
        request += _LIMITS.pack(-1, -1, self._producer._sender._request_timeout_ms)
        request += INT32.pack(len(topics))
        for topic, parts in topics.items():
            request += struct.pack(">h", len(topic)) + topic + INT32.pack(len(parts))
            for number, body in parts:
                request += struct.pack(">ii", number, len(body))
                request += body
        self._asked.add(node_id)
        connection.ask(request, lambda *answer: self._on_answer(node_id, batches, *answer))

    def _on_answer(
        self, node_id: int, batches: Sequence[_Batch], answer: bytes, begin: int, error: KafkaError | None
    ) -> None:
        self._asked.discard(node_id)
        codes: dict[tuple[bytes, int], int] = {}
        if error is None:
            try:
                codes = dict(_read(answer, begin))
            except (struct.error, IndexError):
                _log.exception("an answer of Kafka could not be read; the library sends again")
        for batch in batches:
            code = codes.get((batch.place.topic.encode(), batch.place.partition))
            if code in _WRITTEN:
                batch.ended(None)
            else:
                self._leave(batch, "connection" if code is None else "error", was_sent=True)
        if self._handed:
            self._flush()

    def _leave(self, batch: _Batch, why: str | None = None, *, was_sent: bool = False) -> None:
        """Leave a batch to the library's routine: it sends again, to the present leader, or says why it cannot."""
        if why is not None:
            LEFT_TO_LIBRARY.labels("produce", why).inc()
        try:
            enqueue_batch(self._producer, batch.builder, batch.place, was_sent=was_sent).add_done_callback(
                lambda delivered: batch.ended(_error_of(delivered))
            )
        except Exception as error:
            batch.ended(error)


def _error_of(delivered: asyncio.Future[Any]) -> BaseException | None:
    return KafkaError("stopped before it was sent") if delivered.cancelled() else delivered.exception()


def _fitting(batches: Sequence[_Batch]) -> int:
    """Return how many batches fit into one request, one at least."""
    size = 0
    for number, batch in enumerate(batches):
        size += batch.builder.size()
        if number and size > REQUEST_BYTES:
            return number
    return len(batches)


def _read(answer: bytes, at: int) -> Iterator[tuple[tuple[bytes, int], int]]:
    """Yield topic and partition, and the error code, of each batch in an answer."""
    (topics,) = INT32.unpack_from(answer, at)
    at += INT32.size
    for _ in range(topics):
        topic, parts, at = topic_at(answer, at)
        for _ in range(parts):
            number, code, _, _ = _ANSWERED.unpack_from(answer, at)
            at += _ANSWERED.size
            yield (topic, number), code
