"""Readers of topics, declared on a FastStream broker: batches of raw records, acknowledged by hand.

FastStream's defaults acknowledge before the handler runs, and parse each value and header first. Here the handler gets
the records as they came: a malformed one is its business and never stops the batch around it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as TopicAndPartition
from aiokafka.abc import ConsumerRebalanceListener
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition

from contracts.topics import Topic
from messaging.aiokafka_internals.consumer import JOINING, group_trouble
from messaging.aiokafka_internals.subscriber import BatchSubscriber, ConsumerBroker, take_batches_by_call
from messaging.client.resilient_consumer import ALL_PARTITIONS, ANY_PARTITION, ResilientConsumer
from messaging.client.slots import METADATA_MS
from messaging.errors import BrokerUnavailable
from messaging.records import RawRecord

_log = logging.getLogger(__name__)

MAX_BATCH = 500
"""Records a handler gets at once, at most."""

SESSION_MS = 6_000
"""How long a member may be silent before its partitions go to others: what a crash costs. Brokers allow no less by default."""

GRACE_SECONDS = 1.0
"""How long a stop waits for the batch in a handler's hands; its offsets are not committed, so it comes again."""


OnRevoked = Callable[[set[int]], Awaitable[None]]
"""Told which partitions this member is about to lose."""

BatchHandler = Callable[[Sequence[RawRecord]], Awaitable[None]]


class DeferredHandler:
    """The handler of a subscriber that is declared before the object that takes its records is made."""

    def __init__(self) -> None:
        self._handler: BatchHandler | None = None

    def bind(self, handler: BatchHandler) -> None:
        """Hand batches to `handler` from now on. Call it before the broker's start."""
        self._handler = handler

    async def __call__(self, records: Sequence[RawRecord]) -> None:
        """Hand on one batch."""
        assert self._handler is not None, "bind() comes before the broker's start"
        await self._handler(records)


class Supervisor(Protocol):
    """Ends the process; `failure` is why it already does."""

    failure: BaseException | None

    def fail(self, error: BaseException) -> None:
        """End the process because of `error`."""


def create_broker(
    bootstrap: str, client_id: str, writes: Iterable[Topic] = (), *, steady_path: bool = True
) -> KafkaBroker:
    """Make a FastStream broker that hands raw records to its handlers. Nothing connects before `start`.

    `writes` are the topics that the process writes, declared for the document that FastStream makes of the broker. Without the
    `steady_path` all fetching is the client library's.
    """
    broker = ConsumerBroker(
        partial(ResilientConsumer, is_steady=steady_path),
        bootstrap.split(","),  # FastStream takes a text as one address
        client_id=client_id,
        allow_auto_create_topics=False,
        apply_types=False,
        consumer_only=True,
        graceful_timeout=GRACE_SECONDS,
        metadata_max_age_ms=METADATA_MS,
        logger=logging.getLogger("sayso.faststream"),
        log_level=logging.DEBUG,
    )
    for topic in writes:
        broker.publisher(topic.name, description=topic.holds)
    return broker


def fail_fast(handler: BatchHandler, process: Supervisor) -> BatchHandler:
    """Let a batch that could not be handled end the process, and hand over no other: FastStream would log it and read on."""

    async def take(records: Sequence[RawRecord]) -> None:
        if process.failure is not None:
            return
        try:
            await handler(records)
        except Exception as error:
            _log.exception("a batch of %s could not be handled", records[0].topic)
            process.fail(error)

    return take


def subscribe_group(
    broker: KafkaBroker,
    topic: Topic,
    handler: BatchHandler,
    *,
    group: str,
    fetch_wait_ms: int,
    listener: ConsumerRebalanceListener | None = None,
    on_revoked: OnRevoked | None = None,
    session_timeout_ms: int = SESSION_MS,
) -> BatchSubscriber:
    """Share `topic` within `group`, from the earliest record; offsets are committed by the caller alone.

    `on_revoked` runs before partitions go to another member.
    """
    subscriber = broker.subscriber(
        topic.name,
        group_id=group,
        batch=True,
        max_records=MAX_BATCH,
        fetch_max_wait_ms=fetch_wait_ms,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        listener=listener or (_RevocationListener(on_revoked) if on_revoked else None),
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 4,
        title=topic.name,
        description=topic.holds,
    )
    return take_batches_by_call(subscriber, handler, MAX_BATCH)


def subscribe_broadcast(
    broker: KafkaBroker, topic: Topic, handler: BatchHandler, *, fetch_wait_ms: int, from_beginning: bool = False
) -> BatchSubscriber:
    """Read all partitions of `topic`, outside any group: from now on, or from the beginning. Added ones are read from their beginning."""
    return _subscribe_partition(broker, topic, ALL_PARTITIONS, handler, fetch_wait_ms, from_beginning=from_beginning)


def subscribe_any_partition(
    broker: KafkaBroker, topic: Topic, handler: BatchHandler, *, fetch_wait_ms: int
) -> BatchSubscriber:
    """Read one partition of those that `topic` has at the start, from now on: `partitions_of` says which."""
    return _subscribe_partition(broker, topic, ANY_PARTITION, handler, fetch_wait_ms, from_beginning=False)


def _subscribe_partition(
    broker: KafkaBroker,
    topic: Topic,
    partition: int,
    handler: BatchHandler,
    fetch_wait_ms: int,
    *,
    from_beginning: bool,
) -> BatchSubscriber:
    subscriber = broker.subscriber(
        partitions=[TopicPartition(topic.name, partition, declare=False)],
        batch=True,
        max_records=MAX_BATCH,
        fetch_max_wait_ms=fetch_wait_ms,
        auto_offset_reset="earliest" if from_beginning else "latest",
        ack_policy=AckPolicy.MANUAL,
        title=topic.name,
        description=topic.holds,
    )
    return take_batches_by_call(subscriber, handler, MAX_BATCH)


def partitions_of(subscriber: BatchSubscriber) -> list[int]:
    """Return the partitions that a started subscriber reads now."""
    return sorted(place.partition for place in _started(subscriber).assignment())


async def wait_for_positions(subscriber: BatchSubscriber) -> None:
    """Return once a started subscriber knows its position in each partition, so that no later record escapes it."""
    consumer = _started(subscriber)
    for place in consumer.assignment():
        await consumer.position(place)


async def commit_offsets(subscriber: BatchSubscriber, topic: Topic, offsets: Mapping[int, int]) -> None:
    """Commit the next offset of each partition that is still this member's. Raises KafkaError while partitions move."""
    consumer = subscriber.consumer
    if consumer is None:
        return
    wanted = {TopicAndPartition(topic.name, partition): offset for partition, offset in offsets.items()}
    held = consumer.assignment()
    mine = {place: offset for place, offset in wanted.items() if place in held}
    if mine:
        await consumer.commit(mine)


async def end_offsets(subscriber: BatchSubscriber, topic: Topic, partitions: Iterable[int]) -> dict[int, int]:
    """Return the offset after the last record of each partition."""
    places = [TopicAndPartition(topic.name, partition) for partition in partitions]
    ends = await _started(subscriber).end_offsets(places)
    return {place.partition: offset for place, offset in ends.items()}


def check_group(subscriber: BatchSubscriber, *, joined: bool = True) -> None:
    """Return if a group's reader gets records from it, or, unless `joined` is asked for, can join it. Raises BrokerUnavailable.

    A reader that was not started has its reasons, which its owner knows.
    """
    trouble = None if subscriber.consumer is None else group_trouble(subscriber.consumer)
    if trouble is not None and (joined or not trouble.startswith(JOINING)):
        raise BrokerUnavailable(trouble)


class OffsetRange(NamedTuple):
    """A part of a partition: from `begin` up to, and without, `end`."""

    begin: int
    end: int


async def seek_to_last(subscriber: BatchSubscriber, most: int) -> dict[int, OffsetRange]:
    """Let a reader that began at the beginning go on at its last `most` records, as many of each partition; return these.

    The reader is at work already: its handler may get some of the records before them, and after those nothing but them.
    """
    consumer = _started(subscriber)
    places = consumer.assignment()
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    each = max(1, most // len(places))
    ranges = {place: OffsetRange(max(begins[place], ends[place] - each), ends[place]) for place in places}
    for place, wanted in ranges.items():
        # Nothing may be awaited between looking and seeking, and a reader is never sent back: it would skip what it has.
        if await consumer.position(place) < wanted.begin:
            consumer.seek(place, wanted.begin)
    return {place.partition: wanted for place, wanted in ranges.items()}


def _started(subscriber: BatchSubscriber) -> AIOKafkaConsumer:
    assert subscriber.consumer is not None, "the broker starts first"
    return subscriber.consumer


class _RevocationListener(ConsumerRebalanceListener):
    def __init__(self, tell: OnRevoked) -> None:
        self._tell = tell

    async def on_partitions_revoked(self, revoked: Iterable[TopicAndPartition]) -> None:
        await self._tell({place.partition for place in revoked})

    async def on_partitions_assigned(self, assigned: Iterable[TopicAndPartition]) -> None:
        pass
