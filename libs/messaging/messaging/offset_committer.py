"""Offsets, committed beside the path: up to the first batch whose sends are not all acknowledged yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MOST_IN_FLIGHT = 4
"""Batches handed to the producer and not yet acknowledged; more would only hide that Kafka is slow."""

PAUSE_SECONDS = 0.2
"""Between commits: a commit costs either side as much as a batch and says only where a new owner begins to publish again."""

_log = logging.getLogger(__name__)


class Offsets(Protocol):
    """Commits offsets to Kafka."""

    async def __call__(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition. May be refused while partitions move; the next owner begins earlier."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A batch in the producer's hands, and the offsets that follow it."""

    offsets: Mapping[int, int]
    sends: Sequence[asyncio.Future[Any]]


class Confirming:
    """Follows batches in the order they were handed over, and commits behind those that have arrived."""

    def __init__(self, commit: Offsets) -> None:
        self._commit = commit
        self._handed: asyncio.Queue[Handed] = asyncio.Queue(MOST_IN_FLIGHT)
        self._confirmed: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    async def hand(self, batch: Handed) -> None:
        """Follow one more batch; waits while too many are on their way."""
        await self._handed.put(batch)

    async def settle(self) -> None:
        """Wait until every batch handed so far has arrived, then commit."""
        await self._handed.join()
        await self.commit()

    async def follow(self) -> None:
        """Follow batches for ever. Raises what a send that failed for good raised: the process ends and starts again behind it."""
        while True:
            handed = await self._handed.get()
            try:
                await asyncio.gather(*handed.sends)
                self._confirmed |= handed.offsets
            finally:
                self._handed.task_done()

    async def commit_now_and_then(self) -> None:
        """Commit what has arrived, for ever."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self.commit()

    async def commit(self) -> None:
        """Commit what has arrived and is not committed yet."""
        new = {
            partition: offset
            for partition, offset in self._confirmed.items()
            if self._committed.get(partition) != offset
        }
        if not new:
            return
        try:
            await self._commit(new)
            self._committed |= new
        except Exception as error:  # a commit that is refused costs nothing but publishing again
            _log.info("offsets were not committed: %s", error or type(error).__name__)
