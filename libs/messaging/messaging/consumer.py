"""Reading topics through FastStream: batches of raw records, acknowledged by hand.

FastStream's defaults acknowledge before the handler runs and parse each value and header first; here the handler gets
the records as they came, so that a malformed one is its business and never stops the batch around it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from aiokafka import TopicPartition as TopicAndPartition
from aiokafka.abc import ConsumerRebalanceListener
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition
from faststream.kafka.subscriber.usecase import BatchSubscriber

from contracts.topics import Topic
from messaging.records import RawRecord
from messaging.resilient_consumer import LenientBroker

_log = logging.getLogger(__name__)

MAX_BATCH = 500
"""Records a handler gets at once, at most."""

EMPTY_POLL_MS = 5
"""FastStream sleeps this long after a poll that found nothing, which is once in a while (see `reading`)."""

SESSION_MS = 6_000
"""How long a member may be silent before its partitions go to others: what a crash costs. Brokers allow no less by default."""

GRACE_SECONDS = 1.0
"""How long a stop waits for the batch in a handler's hands; its offsets are not committed, so it comes again."""


OnRevoked = Callable[[set[int]], Awaitable[None]]
"""Told which partitions this member is about to lose."""

BatchHandler = Callable[[Sequence[RawRecord]], Awaitable[None]]


class Ending(Protocol):
    """What ends the process; `failure` is why it already does."""

    failure: BaseException | None

    def fail(self, error: BaseException) -> None:
        """End the process because of `error`."""


def create_broker(bootstrap: str, client_id: str) -> KafkaBroker:
    """Make a FastStream broker that hands raw records to its handlers. Nothing connects before `start`."""
    return LenientBroker(
        bootstrap,
        client_id=client_id,
        allow_auto_create_topics=False,
        apply_types=False,
        consumer_only=True,
        graceful_timeout=GRACE_SECONDS,
        logger=logging.getLogger("sayso.faststream"),
        log_level=logging.DEBUG,
    )


def guarded(handler: BatchHandler, process: Ending) -> BatchHandler:
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
        batch_timeout_ms=EMPTY_POLL_MS,
        fetch_max_wait_ms=fetch_wait_ms,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        listener=listener or (_Revoked(on_revoked) if on_revoked else None),
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 4,
        description=topic.holds,
    )
    return _handing_over(subscriber, handler)


def subscribe_partitions(
    broker: KafkaBroker,
    topic: Topic,
    partitions: Sequence[int],
    handler: BatchHandler,
    *,
    fetch_wait_ms: int,
    from_beginning: bool = False,
) -> BatchSubscriber:
    """Read `partitions` alone, outside any group: from now on, or from the beginning."""
    subscriber = broker.subscriber(
        partitions=[TopicPartition(topic.name, partition, declare=False) for partition in partitions],
        batch=True,
        max_records=MAX_BATCH,
        batch_timeout_ms=EMPTY_POLL_MS,
        fetch_max_wait_ms=fetch_wait_ms,
        auto_offset_reset="earliest" if from_beginning else "latest",
        ack_policy=AckPolicy.MANUAL,
        description=topic.holds,
    )
    return _handing_over(subscriber, handler)


def _handing_over(subscriber: BatchSubscriber, handler: BatchHandler) -> BatchSubscriber:
    """Let `subscriber` hand batches over by a call: none of what FastStream would carry them through is used here.

    Its context scopes, middlewares, parsers and responses were about 3% of a service's CPU, at more than 140 Python calls a batch.
    """
    subscriber(handler)

    async def consume_one(records: Sequence[RawRecord]) -> None:
        if not subscriber.running:
            return
        with subscriber.lock:  # a stop waits for it, for a while
            try:
                await handler(records)
            except Exception:
                _log.exception("a batch of %s could not be handled", records[0].topic)

    subscriber.consume_one = consume_one  # type: ignore[assignment, method-assign]
    return subscriber


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
    assert subscriber.consumer is not None, "the broker starts first"
    ends = await subscriber.consumer.end_offsets([TopicAndPartition(topic.name, partition) for partition in partitions])
    return {place.partition: offset for place, offset in ends.items()}


class Stretch(NamedTuple):
    """A piece of a partition: from `begin` up to, and without, `end`."""

    begin: int
    end: int


async def skip_to_last(
    subscriber: BatchSubscriber, topic: Topic, partitions: Iterable[int], most: int
) -> dict[int, Stretch]:
    """Let a reader that began at the beginning go on at the last `most` records of each partition; return which they are.

    The reader is at work already: its handler may get some of the records before them, and after those nothing but them.
    """
    consumer = subscriber.consumer
    assert consumer is not None, "the broker starts first"
    places = [TopicAndPartition(topic.name, partition) for partition in partitions]
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    stretches = {place: Stretch(max(begins[place], ends[place] - most), ends[place]) for place in places}
    for place, stretch in stretches.items():
        # Nothing may be awaited between looking and seeking, and a reader is never sent back: it would skip what it has.
        if await consumer.position(place) < stretch.begin:
            consumer.seek(place, stretch.begin)
    return {place.partition: stretch for place, stretch in stretches.items()}


class _Revoked(ConsumerRebalanceListener):
    def __init__(self, tell: OnRevoked) -> None:
        self._tell = tell

    async def on_partitions_revoked(self, revoked: Iterable[TopicAndPartition]) -> None:
        await self._tell({place.partition for place in revoked})

    async def on_partitions_assigned(self, assigned: Iterable[TopicAndPartition]) -> None:
        pass
