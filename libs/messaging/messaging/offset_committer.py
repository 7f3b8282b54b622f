"""Offsets, committed beside the path of the records: up to the first batch whose sends are not all acknowledged yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from messaging.errors import KafkaError

MAX_IN_FLIGHT = 4
"""Batches handed to the producer and not yet acknowledged; more would only hide that Kafka is slow."""

INTERVAL_SECONDS = 2.0
"""Between commits: a commit costs either side as much as a batch. It says only from where an owner that comes after a crash reads again.
A member that gives partitions away in order commits before."""

REVOKED_SECONDS = 2.0
"""How long partitions that go to another member wait for the commit of what was done here."""

FOR_AN_OPERATOR = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""Refusals that no other try mends."""

_log = logging.getLogger(__name__)


class CommitOffsets(Protocol):
    """Commits offsets to Kafka."""

    async def __call__(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition. May be refused while partitions move; the next owner begins earlier."""


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch that the producer sends, and the offsets that follow it."""

    offsets: Mapping[int, int]
    sends: Sequence[asyncio.Future[Any]]


class OffsetCommitter:
    """Waits for the acknowledgements of batches in the order of their sending, and commits the offsets behind them."""

    def __init__(self, commit: CommitOffsets) -> None:
        self._commit = commit
        self._in_flight: asyncio.Queue[SentBatch] = asyncio.Queue(MAX_IN_FLIGHT)
        self._pending = 0
        self._acknowledged: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    async def add(self, batch: SentBatch) -> None:
        """Add the next batch; waits while too many are in flight."""
        if self._pending or not all(
            sent.done() and not sent.cancelled() and not sent.exception() for sent in batch.sends
        ):
            self._pending += 1
            await self._in_flight.put(batch)
        else:
            self._acknowledged |= batch.offsets  # the commonest, where nothing is sent

    async def settle(self) -> None:
        """Wait until every batch so far is acknowledged, then commit."""
        await self._in_flight.join()
        await self.commit()

    async def track(self) -> None:
        """Wait for acknowledgements for ever. Raises the error of a send that failed for good.

        The process then ends, and starts again from the committed offsets.
        """
        while True:
            batch = await self._in_flight.get()
            try:
                await asyncio.gather(*batch.sends)
                self._acknowledged |= batch.offsets
                self._pending -= 1  # not for a batch that failed: nothing behind it is acknowledged
            finally:
                self._in_flight.task_done()

    async def commit_periodically(self) -> None:
        """Commit acknowledged offsets again and again, for ever."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.commit()

    async def revoke(self, partitions: Collection[int]) -> None:
        """Commit what was done in partitions that go to another member, for REVOKED_SECONDS at most, and forget them.

        Should they come back, another member has gone on from there meanwhile.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(REVOKED_SECONDS):
                await self.settle()
        for partition in partitions:
            self._acknowledged.pop(partition, None)
            self._committed.pop(partition, None)

    async def commit(self) -> None:
        """Commit the acknowledged offsets that are not committed yet."""
        new = {
            partition: offset
            for partition, offset in self._acknowledged.items()
            if self._committed.get(partition) != offset
        }
        if not new:
            return
        try:
            await self._commit(new)
            self._committed |= new
        except FOR_AN_OPERATOR:
            _log.exception("offsets cannot be committed: whatever is read is read again after the next start")
        except KafkaError as error:  # a refused commit costs nothing but publishing again
            _log.info("offsets were not committed: %s", error or type(error).__name__)
