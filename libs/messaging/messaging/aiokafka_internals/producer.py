"""Private names of aiokafka's producer: the queue of batches behind it."""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder

__all__ = ["BatchBuilder", "check_open", "enqueue_batch", "limit_requests"]


def check_open(producer: AIOKafkaProducer) -> None:
    """Return if a started producer can send. Raises ProducerClosed, or why it cannot go on."""
    accumulator = producer._message_accumulator
    if accumulator._exception is not None:
        raise accumulator._exception
    if accumulator._closed:
        raise ProducerClosed


def enqueue_batch(
    producer: AIOKafkaProducer, batch: BatchBuilder, place: TopicPartition, *, was_sent: bool = False
) -> asyncio.Future[Any]:
    """Queue a batch for its partition; the future ends when all replicas have it. Raises KafkaError.

    The library's own `send_batch` does the same with a task and four futures around it. A batch that `was_sent` before, in what
    request ever, has its sequence number and keeps it: it goes the way of the library's own second tries.
    """
    check_open(producer)
    accumulator = producer._message_accumulator
    queued = accumulator._append_batch(batch, place)
    delivered: asyncio.Future[Any] = queued.future
    if was_sent:
        queued._retry_count = 1
        delivered.add_done_callback(lambda _: accumulator._pending_batches.discard(queued))
    return delivered


def limit_requests(producer: AIOKafkaProducer, milliseconds: int) -> None:
    """Bound how long one request is awaited, apart from how long a record may wait for its delivery.

    The library has one setting for both: a broker that hangs would keep its records from the next leader until they expire.
    """
    producer.client._request_timeout_ms = milliseconds
