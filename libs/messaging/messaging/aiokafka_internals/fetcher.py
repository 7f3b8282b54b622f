"""Fetching in callbacks: the steady case of aiokafka's fetcher, and only that.

Steady is: every partition has a position and a leader, none is paused, and the connections are open. Then a request is a template with
the positions filled in, and its answer is handed on in the turn of the loop in which it comes. The library keeps groups, assignments,
metadata, positions, resets and errors: whatever is not steady, an error code among it, is left to its own routine for a while.
"""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

import logging
import random
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.record.memory_records import MemoryRecords

from messaging.aiokafka_internals.connection import INT32, Connection, head, topic_at
from messaging.aiokafka_internals.metrics import LEFT_TO_LIBRARY

FETCH, VERSION = 1, 4
"""The request and the version of it that is written here. It has all that is needed, and brokers from 0.11 on know it."""

LEFT_SECONDS = 1.0
"""How long the library's routine fetches after something unusual."""

IN_ONE_ORDER = 64
"""Answers after which the partitions are asked for in another order: a batch of more than its share comes for the first one alone."""

LOOK_SECONDS = 5.0
"""How often the library's routine looks at a steady fetcher, beside every change of its assignment."""

IDLE_SECONDS, IDLE_WAIT_MS = 2.0, 100
"""Where nothing came for so long, a broker may hold an empty answer for so long: one that does not answer early costs its readers less."""

_LIMITS = struct.Struct(">iiiib")
_PARTITION = struct.Struct(">iqi")
_POSITION = struct.Struct(">q")
_ANSWERED = struct.Struct(">ihqqi")
"""Partition, error, high watermark, last stable offset, number of aborted transactions."""

_ABORTED_BYTES = 16

_log = logging.getLogger(__name__)


class _Part(NamedTuple):
    """A partition in a template: the bytes of its position stand at `place`."""

    name: TopicPartition
    state: Any
    place: int


class _Flight:
    """The requests to one broker for the partitions that it leads. One is on its way at a time."""

    def __init__(self, fetcher: Fetcher, assignment: Any, node_id: int, parts: Sequence[TopicPartition]) -> None:
        self.assignment, self.node_id = assignment, node_id
        self.is_out, self.answers = False, 0
        self.parts: dict[tuple[bytes, int], _Part] = {}
        self.request = out = head(fetcher._client, FETCH, VERSION)
        self._wait_at = len(out) + INT32.size
        limits = fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes, fetcher._fetch_max_bytes
        out += _LIMITS.pack(-1, *limits, fetcher._isolation_level)
        topics: dict[bytes, list[TopicPartition]] = {}
        for part in parts:
            topics.setdefault(part.topic.encode(), []).append(part)
        out += INT32.pack(len(topics))
        for topic, named in topics.items():
            out += struct.pack(">h", len(topic)) + topic + INT32.pack(len(named))
            for part in named:
                state = assignment.state_value(part)
                self.parts[topic, part.partition] = _Part(part, state, len(out) + INT32.size)
                out += _PARTITION.pack(part.partition, 0, fetcher._max_partition_fetch_bytes)

    def fill_in(self, wait_ms: int) -> bool:
        """Fill in how long the broker may wait, and the positions; return whether each is known and no partition is paused."""
        INT32.pack_into(self.request, self._wait_at, wait_ms)
        for _, state, place in self.parts.values():
            if state._position is None or state._paused:
                return False
            _POSITION.pack_into(self.request, place, state._position)
        return True

    def asked(self, part: _Part) -> int:
        """Return the position that the last request asked for."""
        position: int = _POSITION.unpack_from(self.request, part.place)[0]
        return position


class SteadyFetcher(Fetcher):
    """The library's fetcher, which fetches in callbacks while all is steady."""

    _flights: dict[int, _Flight]
    _flights_for: Any
    _left_until: float
    _idle_from: float

    @classmethod
    def take_over(cls, consumer: AIOKafkaConsumer) -> None:
        """Let a started consumer fetch in callbacks."""
        fetcher = consumer._fetcher
        fetcher.__class__ = cls
        fetcher._flights, fetcher._flights_for, fetcher._left_until = {}, None, 0.0
        fetcher._idle_from = time.monotonic() + IDLE_SECONDS
        # A reader that waits is told that nothing will come.
        fetcher._fetch_task.add_done_callback(lambda _: _wake(fetcher))
        # Leaders may have moved: the library's routine looks at once.
        consumer._client.cluster.add_listener(lambda _: fetcher._notify(fetcher._wait_consume_future))

    def drain(self, most: int) -> list[Any]:
        """Return up to `most` records that have arrived, and ask for those behind them. Raises what the library raises."""
        held, found = self._records, list[Any]()
        for part in list(held):
            result = held[part]
            if type(result) is not FetchResult:
                if not found:
                    del held[part]
                    self._notify(self._wait_consume_future)
                    result.check_raise()
                return found
            found += result.getall(most - len(found))
            if not result.has_more():
                del held[part]
            if len(found) >= most:
                break
        self._ask_for_more()
        return found

    def _get_actions_per_node(self, assignment: Any) -> Any:
        """Return what the library's routine is to do, which calls this: nothing, while all is steady.

        What it does otherwise leaves the brokers out that a request of ours is on its way to.
        """
        if self._has_moved():
            self._forget_plan()
        if self._fetch_steadily(assignment):
            return [], {}, LOOK_SECONDS, False, []
        return super()._get_actions_per_node(assignment)

    def _ask_for_more(self) -> None:
        if self._flights_for is None or not self._fetch_steadily(self._flights_for):
            self._notify(self._wait_consume_future)

    def _fetch_steadily(self, assignment: Any) -> bool:
        """Have a request on its way to every broker whose records were taken; return False where the library has to look."""
        if self._closed or not assignment.active or time.monotonic() < self._left_until:
            return False
        if self._flights_for is not assignment and not self._plan(assignment):
            return False
        is_steady = True
        for flight in self._flights.values():
            if not flight.is_out and not self._is_held(flight):
                is_steady &= self._ask(flight)
        return is_steady and self._flights_for is assignment

    def _is_held(self, flight: _Flight) -> bool:
        held = self._records
        return bool(held) and any(part.name in held for part in flight.parts.values())

    def _plan(self, assignment: Any) -> bool:
        """Write a template for each broker; return False if something is not steady."""
        led = self._led_by_node(assignment)
        for parts in led.values():
            random.shuffle(parts)  # a full answer takes from the first ones
        self._flights = {node_id: _Flight(self, assignment, node_id, parts) for node_id, parts in led.items()}
        self._flights_for = assignment if led else None
        return bool(led)

    def _has_moved(self) -> bool:
        """Return whether a partition has another leader than the one that is asked for it."""
        leader = self._client.cluster.leader_for_partition
        return any(
            leader(part.name) != flight.node_id for flight in self._flights.values() for part in flight.parts.values()
        )

    def _forget_plan(self) -> None:
        self._flights, self._flights_for = {}, None

    def _led_by_node(self, assignment: Any) -> dict[int, list[TopicPartition]]:
        """Return the partitions that each broker leads; none if one has no leader or no position, or is paused."""
        led: dict[int, list[TopicPartition]] = {}
        for part in assignment.tps:
            leader, state = self._client.cluster.leader_for_partition(part), assignment.state_value(part)
            if leader is None or leader == -1 or not state.has_valid_position or state.paused:
                return {}
            led.setdefault(leader, []).append(part)
        return led if self._isolation_level == READ_UNCOMMITTED else {}

    def _ask(self, flight: _Flight) -> bool:
        if flight.node_id in self._in_flight or not flight.fill_in(self._wait_ms()):
            return False
        connection = Connection.to(self._client, flight.node_id)
        if connection is None or not connection.speaks(FETCH, VERSION):
            return False
        connection.ask(flight.request, lambda *answer: self._on_answer(flight, *answer))
        flight.is_out = True
        self._in_flight.add(flight.node_id)  # the library's routine does not ask this broker beside it
        return True

    def _wait_ms(self) -> int:
        wait: int = self._fetch_max_wait_ms
        return wait if time.monotonic() < self._idle_from else max(wait, IDLE_WAIT_MS)

    def _on_answer(self, flight: _Flight, answer: bytes, begin: int, error: KafkaError | None) -> None:
        flight.is_out = False
        flight.answers += 1
        self._in_flight.discard(flight.node_id)
        if self._closed:
            return
        try:
            if error is not None:
                self._leave("connection")
            elif flight.assignment.active and self._keep(flight, answer, begin):
                _wake(self)
                return
        except Exception:
            _log.exception("an answer of Kafka could not be read; the library asks again")
            self._leave("answer")
            _wake(self)  # what stood before the malformed part was kept
        self._ask_for_more()

    def _keep(self, flight: _Flight, answer: bytes, begin: int) -> bool:
        """Keep the records of an answer; return whether there are any."""
        if flight.answers >= IN_ONE_ORDER and self._flights.get(flight.node_id) is flight:
            names = [part.name for part in flight.parts.values()]
            random.shuffle(names)
            self._flights[flight.node_id] = _Flight(self, flight.assignment, flight.node_id, names)
        now, some = int(time.time() * 1000), False
        for key, code, watermark, stable, fetched in _read(answer, begin):
            part = flight.parts[key]
            if self._client.cluster.leader_for_partition(part.name) != flight.node_id:
                continue  # it moved meanwhile: its new leader is asked, and is right
            if code:
                self._leave("error")
                continue
            name, state, _ = part
            asked = flight.asked(part)
            if state._position != asked:  # it was sought elsewhere meanwhile
                continue
            state.highwater, state.lso, state.timestamp = watermark, stable, now
            if not fetched:
                continue
            records = MemoryRecords(fetched)
            if not records.has_next():
                self._leave("record")
                continue
            read = PartitionRecords(name, records, None, asked, None, None, self._check_crcs, self._isolation_level)
            result = FetchResult(
                name, assignment=flight.assignment, backoff=self._prefetch_backoff, partition_records=read
            )
            self._records.keep(name, result, fetched)
            some = True
        if some:
            self._idle_from = time.monotonic() + IDLE_SECONDS
        return some

    def _leave(self, what: str) -> None:
        """Leave it to the library's routine for a while: it knows what to do, and says it."""
        LEFT_TO_LIBRARY.labels("fetch", what).inc()
        self._left_until = time.monotonic() + LEFT_SECONDS
        self._forget_plan()


def _read(answer: bytes, at: int) -> Iterator[tuple[tuple[bytes, int], int, int, int, bytes]]:
    """Yield topic and partition, error, high watermark, last stable offset and batches of each partition in an answer."""
    at += INT32.size  # how long the broker waited because of a quota
    (topics,) = INT32.unpack_from(answer, at)
    at += INT32.size
    for _ in range(topics):
        topic, parts, at = topic_at(answer, at)
        for _ in range(parts):
            number, code, watermark, stable, aborted = _ANSWERED.unpack_from(answer, at)
            at += _ANSWERED.size + max(0, aborted) * _ABORTED_BYTES
            (size,) = INT32.unpack_from(answer, at)
            at += INT32.size
            end = at + max(0, size)
            yield (topic, number), code, watermark, stable, answer[at:end]
            at = end


def wake_readers(consumer: AIOKafkaConsumer) -> None:
    """Let whoever waits for the records of a started consumer look again."""
    _wake(consumer._fetcher)


def _wake(fetcher: Fetcher) -> None:
    for waiter in list(fetcher._fetch_waiters):
        fetcher._notify(waiter)


async def next_records(consumer: AIOKafkaConsumer, most: int) -> list[Any]:
    """Return what has arrived, or wait until something may have; then there may be nothing.

    Raises ConsumerStoppedError, and KafkaError of the group or a partition.
    """
    fetcher, subscription = consumer._fetcher, consumer._subscription
    consumer._coordinator.check_errors()
    with subscription.fetch_context():
        if subscription.reassignment_in_progress:
            await subscription.wait_for_assignment()
        found: list[Any] = fetcher.drain(most)
        if not found and not fetcher._closed:
            await fetcher._create_fetch_waiter()
            found = [] if subscription.reassignment_in_progress else fetcher.drain(most)
    if not found and (consumer._closed or fetcher._closed):
        raise ConsumerStoppedError
    if not found and fetcher._fetch_task.done():
        raise KafkaError("the client library reads no more")
    return found
