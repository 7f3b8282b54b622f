"""The end of aiokafka's clients: whatever becomes of their own stop, nothing of them stays at work.

The library stops in order, and each step waits for Kafka. A stop that is cut short leaves tasks and connections behind, and a second
one does nothing: the process would read, retry and hold its partitions until it ends.
"""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import CloseReason
from aiokafka.errors import ProducerClosed

GROUP_TASKS = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
"""The tasks of a group's member, and of a reader outside any group."""


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer as the library does, and release it, however that ends."""
    try:
        await AIOKafkaConsumer.stop(consumer)
    except asyncio.CancelledError:
        # The library raises it too where Kafka is lost: it cancels a fetch that waits for its next try, and awaits it.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
    finally:
        release_consumer(consumer)


def release_consumer(consumer: AIOKafkaConsumer) -> None:
    """End all that a consumer has at work, without asking Kafka. One that was stopped has nothing."""
    fetcher, coordinator = consumer._fetcher, consumer._coordinator
    consumer._closed = True
    _cancel(getattr(coordinator, name, None) for name in GROUP_TASKS)
    if fetcher is not None:
        fetcher._closed = True
        _cancel([fetcher._fetch_task, *fetcher._pending_tasks])
        for waiter in list(fetcher._fetch_waiters):
            fetcher._notify(waiter)
    _release_client(consumer._client)


async def stop_producer(producer: AIOKafkaProducer, seconds: float) -> None:
    """Stop a producer as the library does, for so many seconds at most, and release it: what was not sent then fails."""
    try:
        async with asyncio.timeout(seconds):
            await producer.stop()
    except TimeoutError:
        pass
    finally:
        await _release_producer(producer)


async def _release_producer(producer: AIOKafkaProducer) -> None:
    accumulator, sender = producer._message_accumulator, producer._sender
    accumulator._closed = True
    accumulator.fail_all(ProducerClosed())
    _release_client(producer.client)
    # The first cancellation reaches the requests that the sender waits for, the second one the sender.
    for _ in range(2):
        _cancel([sender and sender.sender_task])
        await asyncio.sleep(0)


def _release_client(client: AIOKafkaClient) -> None:
    _cancel([client._sync_task])
    for connection in list(client._conns.values()):
        for *_, answer in connection._requests:
            if isinstance(answer, asyncio.Future):
                answer.cancel()  # an error would go to a task of the library that no one awaits, and be logged as never retrieved
        abort(connection, CloseReason.SHUTDOWN)


def abort(connection: Any, reason: CloseReason) -> None:
    """Close a connection of the library at once. Its own way waits until all that was written has left, which may be never."""
    writer = connection._writer
    connection.close(reason=reason)
    if writer is not None:
        writer.transport.abort()


def _cancel(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    for task in tasks:
        if task is not None and not task.done():
            task.cancel()
